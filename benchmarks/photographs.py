"""Photographs for benchmarks: parts of the two that scikit-learn ships, in usual sizes and qualities of JPEGs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_image

QUALITIES = (75, 85, 90, 95)
USUAL, LARGE = (500, 375), (4000, 3000)


def write_photographs(folder: Path, count: int, size: tuple[int, int], *, distinct: int | None = None) -> list[str]:
    """Writes ``count`` JPEGs of ``size`` to ``folder`` and returns their paths; only the first ``distinct`` differ."""
    folder.mkdir(parents=True)
    random, mosaic = np.random.default_rng(0), _mosaic()
    paths = [folder / f"{i:04d}.jpg" for i in range(count)]
    distinct = min(distinct or count, count)
    for i, path in enumerate(paths[:distinct]):
        share = random.uniform(0.5, 1)  # scale of a part; large photographs are cut at full scale
        width, height = size if size == LARGE else (round(side / share) for side in size)
        left, top = random.integers(mosaic.width - width), random.integers(mosaic.height - height)
        part = mosaic.resize(size, Image.Resampling.LANCZOS, (left, top, left + width, top + height))
        part.save(path, quality=QUALITIES[i % len(QUALITIES)])
    for i, path in enumerate(paths[distinct:]):
        path.symlink_to(paths[i % distinct])
    return [str(path) for path in paths]


def _mosaic() -> Image.Image:
    """Both photographs and their mirror images side by side, as detailed as a sharp one of 20 megapixels."""
    tiles = [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    width, height = tiles[0].size
    canvas = Image.new("RGB", (8 * width, 9 * height))
    for row in range(9):
        for column in range(8):
            tile = tiles[(row + column) // 2 % 2]
            tile = ImageOps.mirror(tile) if column % 2 else tile
            canvas.paste(ImageOps.flip(tile) if row % 2 else tile, (column * width, row * height))
    return canvas
