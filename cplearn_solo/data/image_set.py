"""A set of labelled images, either decoded in memory or as sources to decode one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import NamedTuple, Protocol

from PIL import Image
from torch import Tensor

from cplearn_solo.core.errors import InputError

Channels = tuple[float, float, float]
IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)
SKIPPED = 0.01  # share of a set's files that may be unreadable
NAMED = 3  # of them, in a message
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what PIL raises for broken images


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


class Encoded(NamedTuple):
    """An encoded image and where it came from, for error messages."""

    data: bytes
    where: str


@dataclass(frozen=True)
class FileSet:
    """Images of any size, decoded when asked for: ``sources`` are file paths or encoded images."""

    sources: Sequence[str | Encoded]
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
        source = self.sources[i]
        file = BytesIO(source.data) if isinstance(source, Encoded) else source
        try:
            with Image.open(file) as image:
                return image.convert("RGB")
        except UNREADABLE as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"unreadable image {self.name(i)}: {reason}") from error

    def name(self, i: int) -> str:
        """Where image ``i`` comes from."""
        source = self.sources[i]
        return source.where if isinstance(source, Encoded) else source
