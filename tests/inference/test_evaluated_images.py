"""The images that a run is scored on."""

import json
from dataclasses import replace

import pytest
import torch
from support.configs import tiny
from support.images import write_images

from cplearn_solo.config import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.data import DataConfig, MemorySet, Splits
from cplearn_solo.data.notes import say_once
from cplearn_solo.inference.pretrained import Pretrained
from cplearn_solo.inference.splits import require_held_out, splits_of


def trained_with(**data) -> Pretrained:
    """A run as far as its images are concerned."""
    config = parse_config(tiny("runs", data=data))
    nothing = dict.fromkeys(("backbone", "method", "limits", "checkpoint", "run", "probe", "classes", "content"))
    return Pretrained(config=config, num_classes=10, mean=[0.5] * 3, std=[0.5] * 3, **nothing)


@pytest.mark.parametrize(
    ("training", "asked", "message"),
    [
        ({"val_split": 0.2}, {"val_split": 0.3}, r"data.val_split = 0.3: must be 0.2, as in training"),
        ({}, {"val_split": 0.1}, r"data.val_split = 0.1: must be 0.0, as in training"),
        ({}, {"val_split": 0.1, "train_path": "elsewhere"}, r"data.val_split = 0.1"),  # digits are the same anywhere
        ({"val_split": 0.2}, {"max_train_images": 100}, r"data.max_train_images = 100: must be 200, as in training"),
    ],
)
def test_other_parts_of_the_same_images_are_refused(training: dict, asked: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        splits_of(trained_with(**training), asked)


def test_images_to_score_are_not_passed_over_for_held_out_ones(tmp_path) -> None:
    write_images(tmp_path, [f"{part}/{name}/{i}.png" for part in "ab" for name in "xy" for i in range(20)])
    run = trained_with(dataset="custom", train_path=str(tmp_path / "a"), val_split=0.5, max_train_images=None)
    elsewhere = {"val_path": str(tmp_path / "b")}
    with pytest.raises(InputError, match="data.val_split = 0.5: must be 0 to score the images in data.val_path"):
        splits_of(run, elsewhere)
    splits, _ = splits_of(run, {**elsewhere, "val_split": 0.0, "allow_overlap": True})
    assert splits.name == "test" and len(splits.test) == 40
    assert splits_of(run, {})[0].name == "val"


def test_images_that_are_others_than_in_training_are_told(tmp_path, capsys) -> None:
    """Names decide which images are held out, so renamed ones change sides."""
    images, copies, run = (tmp_path / name for name in ("a", "copies", "run"))
    for place in (images, copies):
        write_images(place, [f"{name}/{i}.png" for name in "xy" for i in range(20)])
    model = trained_with(dataset="custom", train_path=str(images), val_split=0.5, max_train_images=None)
    model = replace(model, run=run)

    def told(**asked) -> str:
        say_once.cache_clear()
        splits_of(model, asked)
        return capsys.readouterr().out

    assert not told()  # a run of 0.2.0 kept no fingerprint
    run.mkdir()
    (run / "data.json").write_text(json.dumps(splits_of(model, {})[0].fingerprint))
    assert not told()
    (copies / "y").rename(copies / "z")
    assert "other names than before; names decide which" in told(train_path=str(copies))
    (images / "y").rename(images / "z")
    changed = "the data changed since the run was trained: training images: "
    assert told().startswith(f"{changed}other names than before; names decide which are held out, so a renamed image")
    (images / "x/0.png").unlink()
    assert f"{changed}40 -> 39 images; names" in told()
    assert f"{changed}40 -> 39 images\n" in told(val_split=0.0)  # none is held out
    assert "changed" not in told(train_path=str(copies / "x"), no_labels=True, val_split=0.0)  # other images


def test_what_is_told_where_none_are_held_out_can_be_done(tmp_path) -> None:
    write_images(tmp_path, [f"{part}/{name}/{i}.png" for part in "ab" for name in "xy" for i in range(9)])
    run = trained_with(dataset="custom", train_path=str(tmp_path / "a"), max_train_images=None)
    with pytest.raises(InputError, match="no held-out images, as all were trained on: give others by data.val_path"):
        require_held_out(*splits_of(run, {}))
    with pytest.raises(InputError, match="data.val_split = 0.1: must be 0.0, as in training"):
        splits_of(run, {"val_split": 0.1})
    require_held_out(*splits_of(run, {"val_path": str(tmp_path / "b"), "allow_overlap": True}))


def test_the_part_that_was_held_out_is_scored() -> None:
    splits, _ = splits_of(trained_with(val_split=0.2), {"fraction": 0.5})
    assert len(splits.test) == 40 and len(splits.train) == 80
    assert splits.name == "val"
    assert splits_of(trained_with(val_split=0.2), {"val_split": 0.0})[0].name == "test"


@pytest.mark.parametrize(
    ("training", "scored", "data", "message"),
    [
        ([0, 1], [-1, -1], {"val_path": "here"}, "data.val_path = 'here': .* no scored image has one"),
        ([0, 1], [-1, -1], {"val_split": 0.5, "val_path": "here"}, "data.train_path = '.*': .* no scored image"),
        ([-1, -1], [0, 1], {"val_path": "here"}, "data.train_path = '.*': .* no training image has one"),
    ],
)
def test_neighbours_and_probes_need_labels_of_either_part(training, scored, data, message):
    """Clustering does without."""
    train, test = (MemorySet(torch.zeros(2, 3, 4, 4), torch.tensor(labels), 2) for labels in (training, scored))
    splits = Splits(train=train, probe=train, test=test, name="test", fingerprint={})
    with pytest.raises(InputError, match=message):
        require_held_out(splits, DataConfig(**data))
    require_held_out(splits, DataConfig(**data), False)
