"""Checks of the values under ``data:`` and ``augmentations:``, and of whether the data's paths exist."""

import math
from collections.abc import Sequence
from typing import Any

from cplearn_solo.core.errors import require, require_known
from cplearn_solo.data.schema import KNOWN_IMAGES, MAY_LACK_LABELS, RGB, Augmentation, DataConfig
from cplearn_solo.data.sources import DATASETS
from cplearn_solo.data.sources.places import places

PADDING_MODES = ("reflect", "constant", "edge")
FORMATS = ("image_folder", "dali")


def check_augmentation(a: Augmentation) -> None:
    """Raise ``InputError`` for values that are out of range or conflict."""
    for name in ("color_jitter", "grayscale", "gaussian_blur", "solarization", "equalization", "horizontal_flip"):
        prob = getattr(a, name).prob
        require(0 <= prob <= 1, f"augmentations.{name}.prob", prob, "a number from 0 to 1")
    for name in ("brightness", "contrast", "saturation"):
        value = getattr(a.color_jitter, name)
        require(0 <= value < math.inf, f"augmentations.color_jitter.{name}", value, "a number from 0 up")
    hue = a.color_jitter.hue
    require(0 <= hue <= 0.5, "augmentations.color_jitter.hue", hue, "a number from 0 to 0.5")
    std = a.gaussian_noise.std
    require(0 <= std < math.inf, "augmentations.gaussian_noise.std", std, "a number from 0 up")
    require(a.crop_size >= 1, "augmentations.crop_size", a.crop_size, "an integer from 1 up")
    require(a.num_crops >= 1, "augmentations.num_crops", a.num_crops, "an integer from 1 up")
    low, high = a.rrc.crop_min_scale, a.rrc.crop_max_scale
    require(0 < low <= high <= 1, "augmentations.rrc", (low, high), "0 < crop_min_scale <= crop_max_scale <= 1")
    require(not a.std or min(a.std) > 0, "augmentations.std", a.std, "positive numbers")

    pad = a.random_crop
    either = not (pad.enabled and a.rrc.enabled)
    require(either, "augmentations.random_crop.enabled", True, "false where augmentations.rrc.enabled is true")
    require_known("augmentations.random_crop.padding_mode", pad.padding_mode, PADDING_MODES)
    require(pad.padding >= 0, "augmentations.random_crop.padding", pad.padding, "an integer from 0 up")
    if pad.enabled and pad.padding_mode == "reflect":  # a reflection has only crop_size - 1 pixels
        wanted = f"less than crop_size ({a.crop_size}) for reflection"
        require(pad.padding < a.crop_size, "augmentations.random_crop.padding", pad.padding, wanted)


def check_workers(key: str, value: Any) -> None:
    """Raise ``InputError`` unless ``value`` is ``auto`` or a number of processes."""
    require(value == "auto" or (type(value) is int and value >= 0), key, value, "auto or an integer from 0 up")


def check_channels(augmentations: Sequence[Augmentation], channels: int) -> None:
    """Raise ``InputError`` for augmentations that are impossible for images with so many channels.

    Hue, saturation and grey need RGB; all other operations treat channels alike.
    """
    for a in augmentations:
        for name in ("mean", "std"):
            value = getattr(a, name)
            wanted = f"as many numbers as data.channels says, {channels}"
            require(value is None or len(value) == channels, f"augmentations.{name}", value, wanted)
    without = []
    for i, a in enumerate(augmentations):
        jitter = a.color_jitter
        of_colour = {
            "color_jitter.saturation": jitter.prob > 0 and jitter.saturation > 0,
            "color_jitter.hue": jitter.prob > 0 and jitter.hue > 0,
            "grayscale.prob": a.grayscale.prob > 0,
        }
        without += [f"augmentations.{i}.{key}=0" for key, used in of_colour.items() if used]
    wanted = f"3 for augmentations of colour; without them: {' '.join(without)}"
    require(channels == RGB or not without, "data.channels", channels, wanted)


def check_places(cfg: DataConfig) -> None:
    """Raise ``InputError`` if a path of the user's own images does not exist."""
    if cfg.dataset in (*KNOWN_IMAGES, "hub"):  # which may be downloaded
        return
    places(cfg.train_path, "data.train_path")
    if cfg.val_path and not cfg.val_split:
        places(cfg.val_path, "data.val_path")


def check_data(cfg: DataConfig) -> None:
    """Raise ``InputError`` for values out of range; :func:`check_places` checks whether files exist."""
    require_known("data.dataset", cfg.dataset, DATASETS)
    require_known("data.format", cfg.format, FORMATS)
    check_workers("data.num_workers", cfg.num_workers)
    require(cfg.fraction == -1 or 0 < cfg.fraction <= 1, "data.fraction", cfg.fraction, "-1 (all) or a share in (0, 1]")
    require(0 <= cfg.val_split < 1, "data.val_split", cfg.val_split, "a share in [0, 1)")
    for name in ("train_path", "val_path"):
        value = getattr(cfg, name)
        several = isinstance(value, list) and value and cfg.dataset not in (*KNOWN_IMAGES, "hub")
        fits = value is None or all(isinstance(path, str) and path for path in (value if several else [value]))
        wanted = "a path" if cfg.dataset in KNOWN_IMAGES else "a path or a list of paths"
        require(fits, f"data.{name}", value, wanted)
    own = cfg.dataset == "digits" and cfg.val_path
    require(not own, "data.val_path", cfg.val_path, "null for digits, which have test images of their own")
    for name in ("max_train_images", "max_val_images"):
        value = getattr(cfg, name)
        require(value is None or value >= 1, f"data.{name}", value, "an integer from 1 up, or null for all")
    require(cfg.channels >= 1, "data.channels", cfg.channels, "an integer from 1 up")
    values = cfg.range if isinstance(cfg.range, (list, tuple)) else ()
    numbers = len(values) == 2 and all(isinstance(value, (int, float)) and math.isfinite(value) for value in values)
    fits = cfg.range in (None, "auto") or (numbers and values[0] < values[1])
    require(fits, "data.range", cfg.range, "[low, high] with low < high, both finite, auto or null")
    if cfg.background != DataConfig.background:
        from cplearn_solo.data.decoding.background import background_of  # imports Pillow

        background_of(cfg.background)  # also of images without transparency: a run reads others later
    require(0 <= cfg.max_unreadable <= 1, "data.max_unreadable", cfg.max_unreadable, "a share in [0, 1]")
    require(cfg.max_pixels >= 1, "data.max_pixels", cfg.max_pixels, "an integer from 1 up")
    ratio = cfg.imbalance
    require(
        ratio is None or 1 <= ratio < math.inf, "data.imbalance", ratio, "at least 1, or null for classes as they are"
    )
    require(ratio is None or not cfg.no_labels, "data.imbalance", ratio, "null with no_labels=true, as it needs labels")
    if cfg.no_labels:
        fits = cfg.dataset in MAY_LACK_LABELS
        wanted = f"false unless dataset is {', '.join(MAY_LACK_LABELS)}, and it is {cfg.dataset!r}"
        require(fits, "data.no_labels", True, wanted)
        require(cfg.val_split == 0, "data.val_split", cfg.val_split, "0 where no_labels is true, nothing can be scored")
