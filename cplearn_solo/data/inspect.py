"""What a training will see of image files, found before it starts: kinds, damage, copies, and how they look."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from cplearn_solo.core.errors import InputError
from cplearn_solo.data.decoding import Header, decode, header_of
from cplearn_solo.data.image_set import FileSet, ImageSet
from cplearn_solo.data.notes import counted
from cplearn_solo.data.overlap import content_hashes
from cplearn_solo.data.statistics import deviations

FEW = 32  # images that are looked at before a training
SAMPLE = 500  # images that are looked at unless all are requested
BLOCK = 50  # images per task
NEARLY_ONE_COLOUR = 2.0  # standard deviation of the levels, 0 to 255, below which an image shows nothing


@dataclass(frozen=True, slots=True)
class Look:
    """An image that was read, or the reason why it is refused."""

    index: int
    header: Header | None = None
    empty: bool = False
    several: bool = False  # whether its file has several images
    refused: str = ""


@dataclass(frozen=True)
class Findings:
    """What is known of a set: ``looks`` at some or all of its images, and ``copies``, groups with the same content."""

    images: FileSet
    looks: list[Look]
    copies: list[list[int]]

    @property
    def readable(self) -> list[Look]:
        """The looks at images that can be read."""
        return [look for look in self.looks if look.header]

    def counts(self, what: str) -> Counter[str]:
        """How often each ``what`` (``format``, ``mode`` or ``bits``) occurs in readable images."""
        return Counter(str(getattr(look.header, what)) for look in self.readable)


def inspect(images: FileSet, *, seed: int = 0, everything: bool = False) -> Findings:
    """Decodes a seeded sample of ``images``, or ``everything``, and finds their copies among all images."""
    rows = np.arange(len(images))
    if not everything and len(images) > SAMPLE:
        rows = np.sort(np.random.default_rng(seed).choice(len(images), SAMPLE, replace=False))
    blocks = np.split(rows, range(BLOCK, len(rows), BLOCK))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda block: [_look(images, i) for i in block.tolist()], blocks)
        bar = {"transient": True, "disable": len(rows) <= SAMPLE, "console": Console(stderr=True)}
        looks = [look for some in track(found, "reading images", len(blocks), **bar) for look in some]
    return Findings(images, looks, copies(images, rows))


def in_short(train: ImageSet, scored: ImageSet | None) -> str:
    """A line on the images of a run; if they are files, it decodes a few."""
    labels, counts = train.labels[train.labels >= 0].unique(return_counts=True)
    of_classes = f" of {len(labels)} classes with {counts.min()} to {counts.max()} each" if len(labels) else ""
    rest = "" if scored is None else f", {len(scored)} to score on"
    kinds = ""
    if isinstance(train, FileSet):
        rows = np.unique(np.linspace(0, len(train) - 1, FEW, dtype=np.int64)).tolist()
        headers = [look.header for look in (_look(train, i) for i in rows) if look.header]
        found = Counter(f"{header.format} {header.mode}" for header in headers)
        kinds = f"; {counted(found)} of {len(rows)} looked at"
    return f"data: {len(train)} images{of_classes}{rest}{kinds}"


def copies(images: FileSet, rows: np.ndarray) -> list[list[int]]:
    """Groups of images with the same bytes, of which at least one is in ``rows``.

    Only images of equal size are read, and read whole only if some bytes from the middle are equal, too.
    """
    index = images.sources
    alike = np.flatnonzero(np.isin(index.sizes, index.sizes[rows]))
    values = index.sizes[alike]
    for what in ("piece", "content"):
        alike = alike[_repeated(values)]
        values = content_hashes(index, alike, what)
    same = _repeated(values)
    order = np.argsort(values[same], kind="stable")
    alike, values = alike[same][order], values[same][order]
    groups = np.split(alike, np.flatnonzero(values[1:] != values[:-1]) + 1)
    return sorted(group.tolist() for group in groups if np.isin(group, rows).any())


def contact_sheet(views: Sequence[Sequence[np.ndarray]], *, columns: int = 8, side: int = 96) -> Image.Image:
    """Tiles of ``side`` pixels, ``columns`` images a row; the views of an image, uint8 (h, w, 3), are side by side."""
    gap, width = 8, len(views[0]) * side
    rows = -(-len(views) // columns)
    sheet = Image.new("RGB", (columns * (width + gap) + gap, rows * (side + gap) + gap), "white")
    for i, tiles in enumerate(views):
        x, y = gap + i % columns * (width + gap), gap + i // columns * (side + gap)
        for number, tile in enumerate(tiles):
            how = Image.Resampling.NEAREST if len(tile) < side else Image.Resampling.LANCZOS
            sheet.paste(Image.fromarray(tile).resize((side, side), how), (x + number * side, y))
    return sheet


def _look(images: FileSet, i: int) -> Look:
    source = images.sources[i]
    try:
        decoded, header = decode(source, images.decoding), header_of(source, images.decoding)
    except InputError as error:
        return Look(i, refused=str(error))
    spread = 255 * max(deviations(decoded.image))
    return Look(i, header, empty=spread < NEARLY_ONE_COLOUR, several=decoded.one_of_several)


def _repeated(values: np.ndarray) -> np.ndarray:
    """Which values occur more than once."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return counts[inverse] > 1
