"""Thumbnails, many to a JPEG file."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from cplearn_solo.data import ImageSet, eval_loader
from cplearn_solo.data.schema import RGB
from cplearn_solo.data.workers import Workers

SIDE = 64  # pixels of a thumbnail; a multiple of JPEG's blocks, so that neighbours share none
COLUMNS = 32  # thumbnails in a row of a sheet, and rows of a sheet
QUALITIES = (85, 70, 55, 40, 25, 10)  # of JPEG, tried in this order


def thumbnails(images: ImageSet, num_workers: Workers) -> Tensor:
    """The centre of each image, as it is scored, uint8 ``(n, 3, SIDE, SIDE)``; of more bands the first ones."""
    loader = eval_loader(images, crop_size=SIDE, batch_size=256, num_workers=num_workers)
    return torch.cat([_thumbnails(batch) for _, batch, _ in loader])


def _thumbnails(batch: Tensor) -> Tensor:
    shown = batch[:, :RGB] if batch.shape[1] >= RGB else batch[:, :1].expand(-1, RGB, -1, -1)
    return F.resize(shown, [SIDE, SIDE], antialias=True)


def sheets(thumbs: Tensor, most_bytes: int) -> list[bytes]:
    """JPEG files of COLUMNS x COLUMNS thumbnails ``(n, 3, SIDE, SIDE)`` each, in the best quality that fits."""
    pictures = [_sheet(part) for part in thumbs.split(COLUMNS**2)]
    for quality in QUALITIES:
        files = [_jpeg(picture, quality) for picture in pictures]
        if sum(map(len, files)) <= most_bytes:
            break
    return files


def _sheet(thumbs: Tensor) -> Image.Image:
    rows = -(-len(thumbs) // COLUMNS)
    filled = torch.zeros(rows * COLUMNS, RGB, SIDE, SIDE, dtype=torch.uint8)
    filled[: len(thumbs)] = thumbs
    grid = filled.view(rows, COLUMNS, RGB, SIDE, SIDE).permute(0, 3, 1, 4, 2)
    return Image.fromarray(np.ascontiguousarray(grid.reshape(rows * SIDE, COLUMNS * SIDE, RGB)))


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()
