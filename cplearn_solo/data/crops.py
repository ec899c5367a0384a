"""Crops of one image in uint8, made where its file is read: positions are drawn first, then pixels are resized."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.v2 import functional as F

from cplearn_solo.data.centre import middle
from cplearn_solo.data.decoding import Decoded, Picture
from cplearn_solo.data.geometry import random_box
from cplearn_solo.data.schema import Augmentation


class Crop(NamedTuple):
    """A square window, perhaps flipped, of a box of the image that is resized and padded.

    ``box`` is top, left, height and width in pixels of the whole image, ``resized`` the box's height and width after
    resizing, ``window`` top and left of the window in the padded box.
    """

    box: Sequence[int]
    resized: tuple[int, int]
    padding: int
    mode: str
    window: Sequence[int]
    size: int
    flip: bool


def draw_crops(augmentations: Sequence[Augmentation], width: int, height: int, seed: int) -> list[Crop]:
    """Crops of an image of that size, ``num_crops`` of each of ``augmentations``, as ``geometry`` draws them.

    For a single image, Python's own numbers are faster than tensors.
    """
    random = Random(seed)
    return [_draw_crop(aug, width, height, random) for aug in augmentations for _ in range(aug.num_crops)]


def _draw_crop(aug: Augmentation, width: int, height: int, random: Random) -> Crop:
    size, pad = aug.crop_size, aug.random_crop
    padding = pad.padding if pad.enabled else 0
    if aug.rrc.enabled:
        box = random_box(height, width, (aug.rrc.crop_min_scale, aug.rrc.crop_max_scale), random)
        resized, window = (size, size), (0, 0)
    else:
        box = middle(height, width)
        resized = (size * box[2] // min(height, width), size * box[3] // min(height, width))
        spare = [side - size for side in resized]
        window = [random.randint(0, s + 2 * padding) if pad.enabled else round(s / 2) for s in spare]
    flip = random.random() < aug.horizontal_flip.prob
    return Crop(box, resized, padding, pad.padding_mode, window, size, flip)


def spare_pixels(crops: Sequence[Crop]) -> float:
    """How many times smaller an image may be decoded before a box has fewer pixels than its crop, along either side."""
    return min(side / resized for crop in crops for side, resized in zip(crop.box[2:], crop.resized))


def cut(image: Decoded, crops: Sequence[Crop]) -> list[Tensor]:
    """The crops of a decoded image, each uint8 (c, size, size)."""
    pixels = as_tensor(image.image)
    return [_cut(pixels, image.size, crop) for crop in crops]


def channels_first(pixels: Tensor) -> Tensor:
    """The same pixels (c, h, w) with channels first in memory; ``contiguous`` takes three times as long."""
    return torch.from_numpy(np.stack(pixels.numpy()))


def as_tensor(image: Picture) -> Tensor:
    """uint8 (c, h, w) with channels last in memory, which is the fastest layout to resize."""
    return torch.from_numpy(np.atleast_3d(np.array(image))).permute(2, 0, 1)


def _cut(pixels: Tensor, whole: tuple[int, int], crop: Crop) -> Tensor:
    """``pixels`` (c, h, w) show an image of width and height ``whole``, at its full scale or a smaller one."""
    rows, columns = (_span(crop.box[i], crop.box[2 + i], whole[1 - i], pixels.shape[1 + i]) for i in range(2))
    x = interpolate(pixels[None, :, rows, columns], crop.resized, mode="bicubic", antialias=True)[0]
    if crop.padding:
        x = F.pad(x, [crop.padding] * 4, padding_mode=crop.mode)
    top, left = crop.window
    x = x[:, top : top + crop.size, left : left + crop.size]
    return channels_first(x.flip(2) if crop.flip else x)


def _span(start: int, length: int, whole: int, here: int) -> slice:
    """``length`` pixels from ``start`` on of a side of ``whole`` pixels, which is decoded to only ``here`` pixels."""
    length = max(1, round(length * here / whole))
    start = min(round(start * here / whole), here - length)
    return slice(start, start + length)
