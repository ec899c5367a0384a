"""Scored images that are also training or probe images, found by their content."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b

import numpy as np

from cplearn_solo.core.errors import InputError
from cplearn_solo.data.image_set import FileSet, ImageSet, MemorySet
from cplearn_solo.data.index import PIECE, Index
from cplearn_solo.data.notes import say_once
from cplearn_solo.data.schema import DataConfig

OWN_DATA = ("custom", "parquet")  # where the user can remove an overlap; other data sets are used as published
THREADS = 16  # mostly waiting for files
BLOCK = 1000  # images of one task


def check_overlap(train: ImageSet, scored: ImageSet, cfg: DataConfig, *, also: str = "training images") -> None:
    """Raises ``InputError`` with the number of scored images that are also in ``train``, which ``also`` describes.

    With ``data.allow_overlap``, and for data sets not in ``OWN_DATA``, prints the number instead.
    """
    found = overlap(_index(train), _index(scored))
    if not len(found):
        return
    count = f"{len(found)} of {len(scored)} scored images are also {also}, by their content"
    if cfg.allow_overlap or cfg.dataset not in OWN_DATA:
        say_once(count)
        return
    first = scored.name(int(found[0]))
    raise InputError(f"{count}, such as {first}: take them out of one of the two, or set data.allow_overlap=true")


def overlap(train: Index | Pixels, scored: Index | Pixels) -> np.ndarray:
    """Indices of the scored images that are equal to a training image, byte for byte.

    Only images of equal size are read, and read whole only if some bytes from the middle are equal, too.
    """
    ours, theirs = np.arange(len(scored)), np.arange(len(train))
    ours, theirs = _alike(ours, theirs, scored.sizes, train.sizes)
    for what in ("piece", "content"):
        ours, theirs = _alike(ours, theirs, content_hashes(scored, ours, what), content_hashes(train, theirs, what))
    return ours


def _alike(ours: np.ndarray, theirs: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Elements of ``ours`` and ``theirs`` whose values, ``a`` and ``b``, also occur on the other side."""
    return ours[np.isin(a, b)], theirs[np.isin(b, a)]


def content_hashes(index: Index | Pixels, rows: np.ndarray, what: str) -> np.ndarray:
    """Hashes of each size and the bytes that the method ``what`` reads, uint64 of shape (N,), for N ``rows``."""
    read, sizes = getattr(index, what), index.sizes
    other = f"of {id(index)}: "  # unreadable and empty images are equal to no other

    def block(some: np.ndarray) -> list[int]:
        return [_hash(read, i, int(sizes[i]), other) for i in some.tolist()]

    with ThreadPoolExecutor(THREADS) as pool:
        blocks = pool.map(block, np.split(rows, range(BLOCK, len(rows), BLOCK)))
        return np.fromiter((value for values in blocks for value in values), np.uint64, len(rows))


def _hash(read: Callable[[int], bytes], i: int, size: int, other: str) -> int:
    try:
        data = read(i)
    except (OSError, InputError):
        data = b""
    data = data or f"{other}{i}".encode()
    return int.from_bytes(blake2b(data, digest_size=8, salt=size.to_bytes(8, "little")).digest(), "little")


class Pixels:
    """Decoded images with the methods of ``Index`` that are used here; pixels take the place of a file's bytes."""

    def __init__(self, images: MemorySet) -> None:
        self.pixels = images.images.flatten(1).numpy()
        self.sizes = np.full(len(images), self.pixels.shape[1])

    def __len__(self) -> int:
        return len(self.sizes)

    def content(self, i: int) -> bytes:
        return self.pixels[i].tobytes()

    def piece(self, i: int) -> bytes:
        middle = self.pixels.shape[1] // 2
        return self.pixels[i, middle : middle + PIECE].tobytes()


def _index(images: ImageSet) -> Index | Pixels:
    return images.sources if isinstance(images, FileSet) else Pixels(images)
