"""The view of an image that is scored: its centre, resized, still in uint8."""

from __future__ import annotations

from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

PHOTOGRAPHS = 64  # pixels; larger crops are taken to be of photographs
LONGEST = 8  # times the shorter side; if an image is longer, such as a line, only its middle is used


def centre(images: Tensor, resized: int, size: int) -> Tensor:
    """uint8 (..., c, H, W) -> (..., c, size, size): the shorter side becomes ``resized`` pixels, the centre is kept."""
    images = F.crop(images, *middle(*images.shape[-2:]))
    return F.center_crop(F.resize(images, [resized], InterpolationMode.BICUBIC, antialias=True), [size])


def middle(height: int, width: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of the part that is resized: the whole image, unless one side is far longer."""
    longest = LONGEST * min(height, width)
    h, w = min(height, longest), min(width, longest)
    return round((height - h) / 2), round((width - w) / 2), h, w


def sides_in_memory(images: Tensor, crop_size: int) -> tuple[int, int]:
    """``resized`` and ``size`` for images in memory: their own size, as solo-learn evaluates small images.

    If crops are larger, images are enlarged. If crops are smaller, images are not shrunk: random crops enlarge objects,
    so the backbone does better on whole images at their own size.
    """
    size = max(crop_size, min(images.shape[-2:]))
    return size, size


def sides_of_files(crop_size: int) -> tuple[int, int]:
    """``resized`` and ``size`` for images in files: in the usual ratio of 256 to 224 for photographs, else equal."""
    return round(crop_size * 256 / 224) if crop_size > PHOTOGRAPHS else crop_size, crop_size
