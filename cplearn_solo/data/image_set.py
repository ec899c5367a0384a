"""A set of labelled images, either decoded in memory or as sources to decode one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from cplearn_solo.core.errors import InputError, require
from cplearn_solo.data.decoding import Decoded, Decoding, EncodedImage, Picture, Shrink, decode, source_name
from cplearn_solo.data.decoding.samples import Limits
from cplearn_solo.data.index import Selected
from cplearn_solo.data.schema import DataConfig
from cplearn_solo.data.tally import Note, Tally

Channels = tuple[float, ...]  # a number per channel
IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)
SMALL_SIDE = 64  # pixels; images with longer sides stay encoded
SLOW_DECODE = 5000  # images; decoding more takes long enough to show a progress bar
NEIGHBOURS = 100  # images within which a replacement for an unreadable one is searched


class ImageSet(Protocol):
    """What both kinds of set have in common.

    ``labels`` is int64 of shape (N,) with values in 0..num_classes-1, or -1 where an image has none; ``mean`` and
    ``std`` are per channel of pixels in [0, 1]; ``classes`` holds the class names, or nothing if they are unknown;
    ``limits`` are the values that are mapped to black and white in images of more than 8 bits.
    """

    labels: Tensor
    num_classes: int
    mean: Channels
    std: Channels
    classes: tuple[str, ...]

    @property
    def limits(self) -> Limits | None: ...

    def __len__(self) -> int: ...

    def subset(self, indices: Tensor) -> ImageSet:
        """The images at ``indices`` (int64, 1-d), in that order."""
        ...


@dataclass(frozen=True)
class MemorySet:
    """Images of one size, decoded: ``images`` is uint8 of shape (N, c, H, W)."""

    images: Tensor
    labels: Tensor
    num_classes: int
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    classes: tuple[str, ...] = ()
    limits: Limits | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Tensor) -> MemorySet:
        return replace(self, images=self.images[indices], labels=self.labels[indices])


@dataclass(frozen=True)
class FileSet:
    """Images of any size, decoded on request: ``sources`` are file paths or encoded images, in an ``Index``.

    ``max_unreadable`` is the share of them that may turn out to be unreadable.
    """

    sources: Sequence[str | EncodedImage]
    labels: Tensor
    num_classes: int
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    classes: tuple[str, ...] = ()
    decoding: Decoding = field(default_factory=Decoding)
    max_unreadable: float = DataConfig.max_unreadable

    @property
    def limits(self) -> Limits | None:
        return self.decoding.limits

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Tensor) -> FileSet:
        return replace(self, sources=Selected(self.sources, indices.numpy()), labels=self.labels[indices])

    def load(self, i: int) -> Picture:
        """Image ``i``; raises ``InputError`` naming the file, or the row, that cannot be decoded."""
        return decode(self.sources[i], self.decoding).image

    def read(self, i: int, shrink: Shrink | None = None) -> tuple[Decoded, Note]:
        """Image ``i``, or the next one that can be decoded, and a note on ``i``."""
        try:
            decoded = decode(self.sources[i], self.decoding, shrink)
            return decoded, Note.ONE_OF_SEVERAL if decoded.one_of_several else Note.READ
        except InputError as error:
            return self.instead(i, shrink, error), Note.UNREADABLE

    def instead(self, i: int, shrink: Shrink | None, error: InputError) -> Decoded:
        """Replaces image ``i``, which cannot be read, by the next one that can; raises ``error`` if none is near."""
        for after in range(1, min(len(self), NEIGHBOURS)):
            try:
                return decode(self.sources[(i + after) % len(self)], self.decoding, shrink)
            except InputError:
                continue
        raise error

    def name(self, i: int) -> str:
        """Where image ``i`` comes from."""
        return source_name(self.sources[i])


def sampled(images: ImageSet, rows: Tensor) -> ImageSet:
    """The images in ``rows``, as a sample to look at: any number of them may be unreadable, unless none of the set may
    be."""
    chosen = images.subset(rows)
    if isinstance(chosen, FileSet) and chosen.max_unreadable:
        return replace(chosen, max_unreadable=1.0)
    return chosen


def in_channels(images: MemorySet, cfg: DataConfig) -> MemorySet:
    """The same images with ``data.channels``: grey by Pillow's luma; raises ``InputError`` for other conversions."""
    if images.images.shape[1] == cfg.channels:
        return images
    require(cfg.channels == 1, "data.channels", cfg.channels, f"3 or 1 for {cfg.dataset}")
    red, green, blue = (images.images[:, i : i + 1].int() for i in range(3))
    luma = (19595 * red + 38470 * green + 7471 * blue + 2**15) >> 16
    return replace(images, images=luma.to(torch.uint8))


def decoded_if_small(images: FileSet) -> ImageSet:
    """The same images in memory if they are small and of one size, else unchanged.

    Unreadable ones are counted; they get the pixels of the next readable image and no label.
    """
    width, height = images.read(0)[0].size
    if max(width, height) > SMALL_SIDE:
        return images
    shape = (len(images), height, width, images.decoding.channels)
    pixels, labels, tally = np.empty(shape, np.uint8), images.labels.clone(), Tally(images)
    for i in track(range(len(images)), "decoding images", disable=len(images) <= SLOW_DECODE, transient=True):
        image, note = images.read(i)
        if image.size != (width, height):
            return images
        pixels[i] = np.asarray(image.image).reshape(shape[1:])
        if note != Note.READ:
            tally.add(i, note)
        if note == Note.UNREADABLE:
            labels[i] = -1
    tally.tell()
    tensor = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    return MemorySet(tensor, labels, images.num_classes, classes=images.classes, limits=images.limits)
