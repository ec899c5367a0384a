"""The images that a run was trained on and is scored on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from cplearn_solo.core.errors import InputError, require
from cplearn_solo.core.schema import read_schema
from cplearn_solo.core.stored import read_json
from cplearn_solo.data import KNOWN_IMAGES, DataConfig, Splits, load_splits
from cplearn_solo.data.fingerprint import describe_change
from cplearn_solo.data.notes import say_once
from cplearn_solo.data.sources.places import absolute
from cplearn_solo.engine.runs import DATA
from cplearn_solo.inference.pretrained import Pretrained

FILES = ("images", "names", "sizes")  # of a fingerprint: what other labels leave as it is
RENAMED = "; names decide which are held out, so a renamed image may be scored although it was trained on"


def splits_of(model: Pretrained, overrides: Mapping[str, Any]) -> tuple[Splits, DataConfig]:
    """The run's images, normalised as in its training, and the configuration that selects them.

    ``overrides`` are keys of ``data`` with other values than in training. Raises ``InputError`` for other channels, for
    another split of the same images, which would score images that were trained on, and for a ``val_path`` that would
    have no effect. Prints how the images have changed since training, if they have.
    """
    data = read_schema({**asdict(model.config.data), **overrides}, DataConfig)
    channels = model.config.data.channels
    require(data.channels == channels, "data.channels", data.channels, f"{channels}, which the model was trained on")
    _require_same_parts(data, model.config.data)
    looked_at = not overrides.get("val_path") or not data.val_split or data.dataset in KNOWN_IMAGES
    wanted = "0 to score the images in data.val_path, where held-out training images are scored instead"
    require(looked_at, "data.val_split", data.val_split, wanted)
    splits = load_splits(data, seed=model.config.seed, mean=model.mean, std=model.std, limits=model.limits)
    _tell_change(model, splits, data)
    return splits, data


def _tell_change(model: Pretrained, splits: Splits, data: DataConfig) -> None:
    """Says that the files a run was trained on are others by now. At another place only copies with other names are
    told: all else there are other images."""
    file = model.run and model.run / DATA
    if not file or not file.is_file():  # a checkpoint by itself, or a run of 0.2.0
        return
    old, new = ({key: found["train"].get(key) for key in FILES} for found in (read_json(file), splits.fingerprint))
    copies = old["sizes"] is not None and all(old[key] == new[key] for key in ("images", "sizes"))
    change = describe_change({"train": old}, {"train": new})
    if change and (copies or not _elsewhere(data, model.config.data)):
        by_name = data.val_split and old["names"] != new["names"]
        say_once(f"the data changed since the run was trained: {change}{RENAMED if by_name else ''}")


def _elsewhere(data: DataConfig, training: DataConfig) -> bool:
    """Whether the training images are at another place than in training."""
    same = data.dataset in KNOWN_IMAGES or absolute(data.train_path) == absolute(training.train_path)
    return data.dataset != training.dataset or not same


def _require_same_parts(data: DataConfig, training: DataConfig) -> None:
    if not data.val_split or _elsewhere(data, training):
        return
    for key in ("val_split", "max_train_images"):
        asked, trained = getattr(data, key), getattr(training, key)
        require(asked == trained, f"data.{key}", asked, f"{trained}, as in training, which saw images of other parts")


def require_held_out(splits: Splits, data: DataConfig, labelled: bool = True) -> None:
    """Raises ``InputError`` if there are no images to score on; with ``labelled`` also if none of these, or none of
    those that a probe learns from, has a label."""
    if splits.test is None:
        require(not data.no_labels, "data.no_labels", True, "false to have scores, or data.val_path labelled images")
        raise InputError("no held-out images, as all were trained on: give others by data.val_path")
    for images in (splits.probe, splits.test) if labelled else ():
        own = data.val_path is not None and not data.val_split and images is splits.test
        key, value = ("data.val_path", data.val_path) if own else ("data.train_path", data.train_path)
        which = "scored" if images is splits.test else "training"
        require(bool((images.labels >= 0).any()), key, value, f"images with labels, and no {which} image has one")
