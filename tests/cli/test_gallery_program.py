"""``cplearn gallery`` as a user types it: a page, errors of one line."""

import numpy as np
import pytest
from PIL import Image
from support.images import write_images

pytestmark = pytest.mark.integration


def test_a_folder_becomes_a_page(model, here, tmp_path):
    write_images(tmp_path / "images", [f"{kind}/{i}.png" for kind in ("a", "b") for i in range(6)])
    (tmp_path / "images/b/5.png").write_bytes(b"")
    code, out, error = here("gallery", model, "images", "--num-workers", "0", "--accelerator", "cpu")
    assert code == 0 and "gallery.html: 11 images, all of them to see, " in out, error
    assert "1 of 12 images could not be read" in out and "of class a" in (tmp_path / "gallery.html").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"images", "gallery.html"}
    code, _, error = here("gallery", model, "images")
    assert code == 2 and error == (
        "gallery: error: OUT = 'gallery.html': must be a new file, that one exists already\n"
    )


def test_images_of_other_sizes_and_channels_are_read(model, here, tmp_path):
    (tmp_path / "images").mkdir()
    shapes = [(8, 8), (200, 90, 3), (64, 64, 4), (1, 1), (30, 500, 3)]
    for i, shape in enumerate(shapes):
        Image.fromarray(np.full(shape, 40 * i, np.uint8)).save(tmp_path / f"images/{i}.png")
    code, out, error = here("gallery", model, "images", "page.html", "--num-workers", "0")
    assert code == 0 and "page.html: 5 images, all of them to see" in out, error


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("nowhere images", "nowhere does not exist: give a run folder or a checkpoint"),
        ("RUN images/a.png", "a.png': must be a folder, a list (.csv, .tsv), or an archive"),
        ("RUN nowhere", "nowhere': must be a file or folder that exists"),
        ("RUN images out.png", "OUT = 'out.png': must be a file that ends in .html"),
        ("RUN images no/out.html", "OUT = 'no/out.html': must be in a folder, there is no folder no"),
        ("RUN images --batch-size 0", "--batch-size = 0: must be at least 1"),
        ("RUN images --num-workers few", "--num-workers = 'few': must be auto or an integer from 0 up"),
        ("RUN images --accelerator tpu", "unknown --accelerator 'tpu'"),
        ("RUN images --data chanels=1", "unknown key 'chanels': did you mean 'channels'?"),
        ("images images", "images is not a run folder: it has no config.yaml"),
        ("RUN empty", "must be a folder with images"),
        ("RUN images there.html", "OUT = 'there.html': must be a new file, that one exists already"),
        ("RUN images --data channels=1", "data.channels = 1: must be 3, which the model was trained on"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(arguments, words, model, here, tmp_path):
    write_images(tmp_path / "images", ["a.png"])
    (tmp_path / "empty").mkdir()
    (tmp_path / "there.html").write_text("mine")
    code, _, error = here("gallery", *arguments.replace("RUN", str(model)).split())
    assert code == 2 and len(error.splitlines()) == 1 and words in error, error
    assert {path.name for path in tmp_path.iterdir()} == {"images", "empty", "there.html"}
    assert (tmp_path / "there.html").read_text() == "mine"
