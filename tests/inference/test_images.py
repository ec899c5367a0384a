"""Images that somebody points at."""

import os
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from support.images import noise_images, pil, write_images, write_parquet

from cplearn_solo.core.errors import InputError
from cplearn_solo.data import MemorySet
from cplearn_solo.inference.images import file_names, images_at, labelled_images_at
from cplearn_solo.inference.pretrained import load_pretrained


def names(model, where, **keys):
    images = images_at(model, str(where), keys)
    return file_names(images, range(len(images)))


def test_every_kind_of_source_is_told_by_what_is_there(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = ["one.png", "deep/er/two.jpg", "deep/ä.png"]
    write_images(tmp_path / "images", files)
    assert names(model, "images") == ["deep/er/two.jpg", "deep/ä.png", "one.png"]
    (tmp_path / "list.csv").write_text("path\nimages/one.png\nimages/deep/er/two.jpg\n")
    assert names(model, "list.csv") == ["images/one.png", "images/deep/er/two.jpg"]
    with tarfile.open("images.tar", "w") as tar:
        tar.add("images")
    assert names(model, "images.tar") == ["images/deep/er/two.jpg", "images/deep/ä.png", "images/one.png"]
    write_images(tmp_path / "more", ["three.png"])
    assert names(model, "{images,more}") == [f"images/{name}" for name in names(model, "images")] + ["more/three.png"]
    write_parquet(tmp_path / "table.parquet", noise_images(3, 8, 8), None)
    write_parquet(tmp_path / "tables/data/train-0.parquet", noise_images(3, 8, 8), [0, 1, 2])
    assert names(model, "table.parquet") == names(model, "tables") == ["0", "1", "2"]


def test_images_of_a_data_set_known_by_name_are_those_of_training(model):
    images = images_at(model, "digits")
    assert isinstance(images, MemorySet) and len(images) == 1438  # not only those that the run was trained on
    assert images.mean == pytest.approx([0.4, 0.5, 0.6])


def test_names_of_other_bytes_become_text(model, tmp_path):
    (tmp_path / "images").mkdir()
    pil(noise_images(1, 8, 8)[0]).save(tmp_path / "images/x.png")
    try:
        os.rename(tmp_path / "images/x.png", bytes(tmp_path) + b"/images/\xe4.png")
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    assert names(model, tmp_path / "images") == [r"\xe4.png"]


@pytest.mark.parametrize(
    "where, words",
    [
        ("nowhere", "IMAGES = '.*nowhere': must be a file or folder that exists"),
        ("empty", "IMAGES = '.*empty': must be a folder with images"),
        ("photo.png", r"IMAGES = '.*photo.png': must be a folder, a list \(.csv, .tsv\), or an archive"),
        ("broken", "unreadable image .*0.png: cannot identify image file"),
        ("deep", "data.range = None: must be .* or auto, as .*0.png holds values from 0 to 63"),
    ],
)
def test_other_things_are_refused_in_a_line(where, words, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write_images(tmp_path, ["photo.png"])
    write_images(tmp_path, ["broken/0.png", "broken/1.png"])
    for file in (tmp_path / "broken").iterdir():
        file.write_bytes(b"no image")
    (tmp_path / "deep").mkdir()
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8)).save(tmp_path / "deep/0.png")
    with pytest.raises(InputError, match=words):
        images_at(model, where)


def test_keys_that_would_choose_other_images_are_refused(model, tmp_path):
    table = write_parquet(tmp_path / "some.parquet", noise_images(3, 9, 9), [2, 0, 1])
    for key, value in {"max_train_images": 2, "fraction": 0.5, "imbalance": 9.0, "train_path": "others"}.items():
        with pytest.raises(InputError, match=f"data.{key} = .*: must be left out: IMAGES are all read"):
            images_at(model, table, {key: value})
    with pytest.raises(InputError, match="data.num_workers = 2: must be left out: --num-workers says it"):
        images_at(model, table, {"num_workers": 2})
    with pytest.raises(InputError, match="data.max_unreadable = 0: must be left out: any number of IMAGES may be"):
        images_at(model, table, {"max_unreadable": 0})
    with pytest.raises(InputError, match="data.label_column = 'typo': must be a column of .*some.parquet"):
        labelled_images_at(model, table, {"label_column": "typo"})


def test_a_run_on_a_long_tail_sees_all_images(model, tmp_path):
    write_images(tmp_path, ["images/a.png", "images/b.png"])
    trained = replace(model.config, data=replace(model.config.data, imbalance=9.0))
    assert len(images_at(replace(model, config=trained), str(tmp_path / "images"))) == 2


def test_other_channels_than_trained_with_are_refused(model, checkpoint, tmp_path):
    write_images(tmp_path, ["0.png"])
    with pytest.raises(InputError, match="data.channels = 1: must be 3, which the model was trained on"):
        images_at(model, str(tmp_path), {"channels": 1})
    four = load_pretrained(checkpoint(channels=4, dataset="custom", train_path=str(tmp_path)))
    with pytest.raises(InputError, match="unreadable image .*0.png.*data.channels"):
        images_at(four, str(tmp_path))
