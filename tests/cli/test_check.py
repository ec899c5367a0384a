"""``cplearn check`` as a user types it."""

import numpy as np
import pytest
from PIL import Image
from support.images import noise_images, write_images, write_parquet

pytestmark = pytest.mark.integration
SMALL = "augmentations.0.crop_size=16"


def test_what_a_training_would_see_is_told_and_shown(here, tmp_path):
    write_images(tmp_path, [f"photos/{name}/{i}.png" for name in ("cat", "dog") for i in range(20)])
    write_images(tmp_path, [f"val/{name}/{i}.png" for name in ("cat", "dog") for i in range(2)], seed=5)
    (tmp_path / "photos/cat/notes.txt").write_text("")
    (tmp_path / "photos/dog/broken.jpg").write_bytes(b"nothing")
    (tmp_path / "val/dog/again.png").write_bytes((tmp_path / "photos/dog/3.png").read_bytes())
    code, out, error = here("check", "photos", "val", SMALL)
    assert code == 0, error
    for line in (
        "ignored in photos: 1 .txt",
        "training: 41 images",
        "  classes: 2: 21 dog, 20 cat",
        "  format: 40 PNG",
        "  bits: 40 8",
        "  size: 24 x 20 to 24 x 20, median 24 x 20",
        "  refused: 1",
        "    unreadable image photos/dog/broken.jpg: cannot identify image file",
        "validation: 5 images",
        "validation images that are also training images: 1: val/dog/again.png",
    ):
        assert line in out.splitlines(), out
    sheet = np.asarray(Image.open(tmp_path / "check.png"))
    assert sheet.shape[0] == 4 * (96 + 8) + 8 and sheet.std() > 10
    assert sorted(p.name for p in tmp_path.iterdir()) == ["check.png", "photos", "val"]


def test_names_stay_on_their_lines(here, tmp_path):
    """Whatever characters they have, also those that steer a terminal."""
    write_images(tmp_path, [f"a\n/cat\x1b[31m/{i}\r\n.png" for i in range(3)])
    write_images(tmp_path, [f"a\n/dog\u2028/{i}.png" for i in range(3)])
    (tmp_path / "a\n/dog\u2028/broken\n.png").write_bytes(b"nothing")
    code, out, error = here("check", "a\n", SMALL)
    assert code == 0 and out.isascii() and not set(out.replace("\n", "")) - set(map(chr, range(32, 127))), (out, error)
    lines = out.splitlines()
    assert "  classes: 2: 4 dog\\u2028, 3 cat\\x1b[31m" in lines
    assert "    unreadable image a\\n/dog\\u2028/broken\\n.png: cannot identify image file" in lines
    assert r"  groups of copies: 3: a\n/cat\x1b[31m/0\r\n.png = a\n/dog\u2028/0.png" in out
    (tmp_path / "list.csv").write_text('file,label\n"a\x1b\n.png",0\n')
    code, out, error = here("check", "list.csv", SMALL)
    assert code == 2 and error[:-1].isprintable() and error.endswith("\n"), error


def test_places_may_be_given_as_keys(here, tmp_path):
    write_images(tmp_path, ["photos/a/0.png", "photos/a/1.png", "val/a/0.png"])
    found = set()
    for words in (("photos", "val"), ("photos", "data.val_path=val"), ("data.val_path=val", "data.train_path=photos")):
        code, out, error = here("check", *words, SMALL)
        assert code == 0 and "validation: 1 images" in out, error
        found.add(out[out.index("training: ") :])
    assert len(found) == 1


def test_tables_and_other_sets_too(here, tmp_path):
    write_parquet(tmp_path / "Bücher (1).parquet", noise_images(6, 9, 9), [0, 1, 2, 0, 0, 0], names=["a", "b", "c"])
    code, out, error = here("check", "Bücher (1).parquet", "data.dataset=parquet", SMALL, "--all", "--sheet", "s.png")
    assert code == 0 and "classes: 3: 4 a, 1 b, 1 c" in out and (tmp_path / "s.png").is_file(), error

    for arguments, words in (
        (("nowhere",), "data.train_path = 'nowhere': must be a file or folder that exists"),
        (("data.train_path=nowhere",), "data.train_path = 'nowhere': must be a file or folder that exists"),
        (("data.dataset=digits",), "data.dataset = 'digits': must be one of images of your own"),
        (("seed=1",), "data.train_path = "),
        (("x", "data.dataset=digits"), "data.dataset = 'digits': must be one of images of your own"),
        (("x", "--sheet", "nowhere/s.png"), "--sheet = 'nowhere/s.png': must be a file in a folder that exists"),
        (("x", "--sheet", ""), "--sheet = '': must be a file in a folder that exists"),
        (("x", "--sheet", "."), "--sheet = '.': must be a file in a folder that exists"),
        (("x", "--sheet", str(tmp_path)), "must be a file in a folder that exists"),
        (("x", "y", "z"), "override = 'z': must be key=value"),
    ):
        code, _, error = here("check", *arguments)
        assert code == 2 and len(error.splitlines()) == 1 and words in error, error
