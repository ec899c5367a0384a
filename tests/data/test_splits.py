"""Held-out images and the fingerprint: what changes when the data does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from support.images import noise_images, write_images, write_parquet

from cplearn_solo.core.errors import InputError
from cplearn_solo.data import DataConfig, FileSet, Splits, describe_change, load_splits

COUNT = 200


def splits(seed: int = 0, **config) -> Splits:
    return load_splits(DataConfig(**{"dataset": "custom", **config}), seed=seed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    write_images(root, [f"{'ab'[i % 2]}/{i:03d}.png" for i in range(COUNT)])
    return root


def held_out(images: FileSet) -> set[bytes]:
    return {images.sources.content(i) for i in range(len(images))}


def test_held_out_images_do_not_depend_on_the_others(folder: Path, tmp_path: Path) -> None:
    before = splits(train_path=str(folder), val_split=0.3)
    share = len(before.test) / COUNT
    assert before.name == "val" and abs(share - 0.3) < 0.1 and len(before.train) + len(before.test) == COUNT
    grown = tmp_path / "elsewhere"
    shutil.copytree(folder, grown)
    write_images(grown, [f"c/{i}.png" for i in range(20)] + [f"a/new{i}.png" for i in range(20)], seed=1)
    for i in range(0, 20):
        (grown / f"{'ab'[i % 2]}/{i:03d}.png").unlink()
    after = splits(train_path=str(grown), val_split=0.3)
    ours, theirs = held_out(before.test), held_out(after.test)
    assert not ours & held_out(after.train) and not theirs & held_out(before.train)
    assert held_out(splits(3, train_path=str(folder), val_split=0.3).test) != ours
    larger = held_out(splits(train_path=str(folder), val_split=0.5).test)
    assert ours < larger


def test_held_out_rows_do_not_depend_on_the_others(tmp_path: Path) -> None:
    images = noise_images(40, 70, 65)
    write_parquet(tmp_path / "a/0.parquet", images[:20], [0, 1] * 10)
    write_parquet(tmp_path / "b/0.parquet", images[20:], [0, 1] * 10)
    write_parquet(tmp_path / "b/1.parquet", images[:20], [0, 1] * 10)
    few, many = (splits(dataset="parquet", train_path=str(tmp_path / name), val_split=0.4) for name in "ab")
    assert held_out(few.test) < held_out(many.test) and held_out(few.train) < held_out(many.train)


def test_known_data_sets_are_held_out_as_ever() -> None:
    whole = load_splits(DataConfig(), seed=0).train
    shuffled = torch.from_numpy(np.random.default_rng(3).permutation(len(whole)))
    by_class = shuffled[whole.labels[shuffled].argsort(stable=True)]
    taken = torch.arange(len(whole) + 1, dtype=torch.float64).mul(0.25).add(0.5).floor().diff() > 0
    held = load_splits(DataConfig(val_split=0.25), seed=3).test
    assert torch.equal(held.images, whole.images[by_class[taken].sort().values])


# --- fingerprint -------------------------------------------------------------------------------------------------


def change(old: Splits, new: Splits) -> str:
    return describe_change(json.loads(json.dumps(old.fingerprint)), new.fingerprint)


def test_changes_of_the_data_are_described(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "moved"
    shutil.copytree(folder, root)
    old = splits(train_path=str(folder))
    assert change(old, splits(train_path=str(root))) == ""
    assert (
        change(old, splits(train_path=str(root), val_split=0.2, fraction=0.5)) == ""
    )  # these are of the configuration
    assert (
        change(old, splits(train_path=str(root), val_path=str(root), allow_overlap=True))
        == "scored images: none before"
    )
    (root / "a/000.png").rename(root / "a/0000.png")
    assert change(old, splits(train_path=str(root))) == "training images: other names than before"
    (root / "a/0000.png").rename(root / "a/000.png")
    (root / "a/000.png").write_bytes((root / "a/000.png").read_bytes() + b"\0")
    assert change(old, splits(train_path=str(root))) == "training images: other sizes than before"
    write_images(root, ["a/x.png", "b/y.png"], seed=1)
    assert change(old, splits(train_path=str(root))) == "training images: 200 -> 202 images"
    (root / "a").rename(root / "z")
    assert "200 -> 202 images" in change(old, splits(train_path=str(root)))


def test_a_fingerprint_is_what_it_was_for_runs_that_were_begun_before() -> None:
    found = load_splits(DataConfig(), seed=0).fingerprint["train"]
    assert found == {"images": 1438, "classes": 10, "labels": "f81211fe46664384"}


def test_changed_labels_are_described(tmp_path: Path) -> None:
    images = noise_images(4, 8, 8)
    old, new, named = (
        splits(dataset="parquet", train_path=write_parquet(tmp_path / f"{i}.parquet", images, labels, names))
        for i, (labels, names) in enumerate([([0, 1, 0, 1], None), ([1, 0, 0, 1], None), ([0, 1, 0, 1], ["a", "b"])])
    )
    assert change(old, new) == "training images: other labels than before"
    assert change(old, named) == "training images: other labels than before"
    assert change(load_splits(DataConfig(), seed=0), load_splits(DataConfig(), seed=1)) == ""


def test_classes_of_unequal_size_fall_exponentially() -> None:
    """As Cui et al. (2019): n ratio^(-k / (K - 1)) images of class k, drawn with the seed; test images stay."""
    load = lambda seed=0, **config: load_splits(DataConfig(**config), seed=seed)  # noqa: E731
    whole, tailed = load(), load(imbalance=100)
    sizes = tailed.train.labels.bincount()
    largest = sizes[0].item()
    assert sizes.tolist() == [max(1, round(largest * 100 ** (-k / 9))) for k in range(10)]
    assert largest == whole.train.labels.bincount()[0] and len(tailed.test) == len(whole.test)
    again, other = load(imbalance=100), load(1, imbalance=100)
    assert torch.equal(again.train.images, tailed.train.images)
    assert other.train.labels.bincount().equal(sizes) and not torch.equal(other.train.images, tailed.train.images)
    assert load(imbalance=1).train.labels.bincount().unique().numel() == 1
    held = load(imbalance=100, val_split=0.2)
    assert held.test.labels.bincount().min() > 20, "held-out images are drawn before"


def test_no_class_lacks_images(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_images(tmp_path, [f"a/{i}.png" for i in range(10)] + [f"b/{i}.png" for i in range(20)])
    found = splits(train_path=str(tmp_path), imbalance=4, val_path=str(tmp_path), allow_overlap=True)
    assert found.train.labels.bincount().tolist() == [10, 2]
    told = "data.imbalance=4: 12 of 30 training images with a label, 10 of the largest class, 2 of the smallest"
    assert told in capsys.readouterr().out
    found = splits(train_path=str(tmp_path), imbalance=1, val_path=str(tmp_path), allow_overlap=True)
    assert found.train.labels.bincount().tolist() == [10, 10]


@pytest.mark.parametrize(
    "config, words",
    [
        ({"imbalance": 0.5}, "data.imbalance = 0.5: must be at least 1"),
        ({"imbalance": float("inf")}, "data.imbalance = inf: must be at least 1"),
        ({"imbalance": 10, "no_labels": True, "dataset": "custom"}, "data.imbalance = 10: must be null with no_labels"),
    ],
)
def test_imbalance_that_cannot_be(config: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_splits(DataConfig(**config), seed=0)
