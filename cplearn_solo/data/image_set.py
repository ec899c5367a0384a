"""A set of labelled images, either decoded in memory or as sources to decode one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from rich.progress import track
from torch import Tensor

from cplearn_solo.data.decode import EncodedImage, decode, source_name

Channels = tuple[float, float, float]
IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)
SMALL_SIDE = 64  # pixels; images with longer sides stay encoded
SLOW_DECODE = 5000  # images from which decoding takes long enough to show a progress bar


class ImageSet(Protocol):
    """What both kinds of set have in common.

    ``labels`` is int64 of shape (N,) with values in 0..num_classes-1, or -1 where an image has none; ``mean`` and
    ``std`` are per channel of pixels in [0, 1]; ``classes`` holds the class names, or nothing if they are unknown.
    """

    labels: Tensor
    num_classes: int
    mean: Channels
    std: Channels
    classes: tuple[str, ...]

    def __len__(self) -> int: ...

    def subset(self, indices: Tensor) -> ImageSet:
        """The images at ``indices`` (int64, 1-d), in that order."""
        ...


@dataclass(frozen=True)
class MemorySet:
    """Images of one size, decoded: ``images`` is uint8 of shape (N, 3, H, W)."""

    images: Tensor
    labels: Tensor
    num_classes: int
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Tensor) -> MemorySet:
        return replace(self, images=self.images[indices], labels=self.labels[indices])


@dataclass(frozen=True)
class FileSet:
    """Images of any size, decoded when asked for: ``sources`` are file paths or encoded images."""

    sources: Sequence[str | EncodedImage]
    labels: Tensor
    num_classes: int
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Tensor) -> FileSet:
        return replace(self, sources=[self.sources[i] for i in indices.tolist()], labels=self.labels[indices])

    def load(self, i: int) -> Image.Image:
        """Image ``i`` in RGB; raises ``InputError`` naming the file, or the row, that cannot be decoded."""
        return decode(self.sources[i])

    def name(self, i: int) -> str:
        """Where image ``i`` comes from."""
        return source_name(self.sources[i])


def decoded_if_small(images: FileSet) -> ImageSet:
    """The same images in memory if they are small and of one size, else as they are."""
    width, height = images.load(0).size
    if max(width, height) > SMALL_SIDE:
        return images
    pixels = np.empty((len(images), height, width, 3), np.uint8)
    for i in track(range(len(images)), "decoding images", disable=len(images) <= SLOW_DECODE, transient=True):
        image = images.load(i)
        if image.size != (width, height):
            return images
        pixels[i] = image
    tensor = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    return MemorySet(tensor, images.labels, images.num_classes, classes=images.classes)
