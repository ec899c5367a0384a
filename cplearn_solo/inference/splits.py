"""The images that a run was trained on and is scored on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from cplearn_solo.core.errors import InputError, require
from cplearn_solo.core.schema import read_schema
from cplearn_solo.data import KNOWN_IMAGES, DataConfig, Splits, load_splits
from cplearn_solo.data.sources.places import absolute
from cplearn_solo.inference.pretrained import Pretrained


def splits_of(model: Pretrained, overrides: Mapping[str, Any]) -> tuple[Splits, DataConfig]:
    """The run's images, normalised as in its training, and the configuration that selects them.

    ``overrides`` are keys of ``data`` with other values than in training. Raises ``InputError`` for other channels, for
    another split of the same images, which would score images that were trained on, and for a ``val_path`` that would
    have no effect.
    """
    data = read_schema({**asdict(model.config.data), **overrides}, DataConfig)
    channels = model.config.data.channels
    require(data.channels == channels, "data.channels", data.channels, f"{channels}, which the model was trained on")
    _require_same_parts(data, model.config.data)
    looked_at = not overrides.get("val_path") or not data.val_split or data.dataset in KNOWN_IMAGES
    wanted = "0 to score the images in data.val_path, where held-out training images are scored instead"
    require(looked_at, "data.val_split", data.val_split, wanted)
    training = {"mean": model.mean, "std": model.std, "limits": model.limits}
    return load_splits(data, seed=model.config.seed, **training), data


def _require_same_parts(data: DataConfig, training: DataConfig) -> None:
    elsewhere = data.dataset not in KNOWN_IMAGES and absolute(data.train_path) != absolute(training.train_path)
    if not data.val_split or data.dataset != training.dataset or elsewhere:
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
