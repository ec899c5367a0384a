"""The view of an image that is scored: its centre, resized, still in uint8."""

from __future__ import annotations

from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

PHOTOGRAPHS = 64  # pixels of a crop, above which it is of photographs
LONGEST = 8  # times the shorter side: of a longer image, a line for one, only the middle is resized


def centre(images: Tensor, resized: int, size: int) -> Tensor:
    """uint8 (..., c, H, W) -> (..., c, size, size): the shorter side becomes ``resized`` pixels, the centre is kept."""
    images = F.crop(images, *middle(*images.shape[-2:]))
    return F.center_crop(F.resize(images, [resized], InterpolationMode.BICUBIC, antialias=True), [size])


def middle(height: int, width: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of what is resized of an image of that size: all of it, unless it is a line."""
    longest = LONGEST * min(height, width)
    h, w = min(height, longest), min(width, longest)
    return round((height - h) / 2), round((width - w) / 2), h, w


def sides_in_memory(images: Tensor, crop_size: int) -> tuple[int, int]:
    """``resized`` and ``size`` of images in memory: their own size, as solo-learn evaluates small ones.

    Larger crops enlarge them. Random crops show things enlarged, so a backbone trained on smaller crops does better on
    whole images at their own size than shrunk.
    """
    size = max(crop_size, min(images.shape[-2:]))
    return size, size


def sides_of_files(crop_size: int) -> tuple[int, int]:
    """``resized`` and ``size`` of images in files: 256 and 224 for photographs, as is customary, or in this ratio."""
    return round(crop_size * 256 / 224) if crop_size > PHOTOGRAPHS else crop_size, crop_size
