"""What is known of images and machine before a configuration is complete."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch

from cplearn_solo.core.errors import InputError, require
from cplearn_solo.data.decoding import Decoding, header_of
from cplearn_solo.data.image_set import FileSet, ImageSet
from cplearn_solo.data.schema import DataConfig
from cplearn_solo.data.selection import parts

LOOKED_AT = 100  # files whose headers are read
FEW = 128  # images, of which a batch may hold all: those to train on are counted


@dataclass(frozen=True)
class Seen:
    """``images`` to train on, the median ``side`` of their shorter sides in pixels, and what there is to train with."""

    images: int
    side: int
    gpu: bool
    bfloat16: bool  # whether the GPU has units for it


def look_at(images: ImageSet, cfg: DataConfig, *, seed: int, accelerator: str) -> Seen:
    """The same for the same images, seed and machine.

    ``images`` are those at ``cfg.train_path``, before some are held out. Few are counted as a run will choose them; of
    many, a share is taken. Raises ``InputError`` for less than two, as the images of a batch are compared, and where
    none can be read.
    """
    count = min(len(images), cfg.max_train_images or len(images))
    count = round(count * (1 - cfg.val_split) * (1.0 if cfg.fraction == -1 else cfg.fraction))
    if count < FEW or cfg.imbalance is not None:
        count = len(parts(images, cfg, seed)[0])
    require(count >= 2, "data.train_path", cfg.train_path, f"at least 2 images to train on, and there is {count}")
    gpu = accelerator in ("auto", "cuda", "gpu") and torch.cuda.is_available()
    return Seen(
        images=count,
        side=_shorter_side(images, cfg, seed),
        gpu=gpu,
        bfloat16=gpu and torch.cuda.is_bf16_supported(including_emulation=False),
    )


def _shorter_side(images: ImageSet, cfg: DataConfig, seed: int) -> int:
    """The median over images in memory, which are of one size, or over some files, by what their headers say."""
    if not isinstance(images, FileSet):
        return min(images.images.shape[-2:])
    rows = np.random.default_rng(seed).permutation(len(images))[:LOOKED_AT].tolist()
    decoding, sides = Decoding.of(cfg), []
    for row in rows:
        with suppress(InputError):
            sides.append(min(header_of(images.sources[row], decoding).size))
    if not sides:
        sides.append(min(images.load(rows[0]).size))  # or it says why it is not read
    return int(np.median(sides))
