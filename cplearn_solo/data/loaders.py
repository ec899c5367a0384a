"""Loaders of training and evaluation batches, for images of either kind."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from cplearn_solo.data.file_loader import BatchSampler, EvalDataset, FileLoader, TrainDataset
from cplearn_solo.data.image_set import ImageSet, MemorySet
from cplearn_solo.data.memory_loader import MemoryEvalLoader, MemoryLoader
from cplearn_solo.data.order import EpochSampler
from cplearn_solo.data.schema import Augmentation


def train_loader(
    images: ImageSet,
    augmentations: Sequence[Augmentation],
    *,
    batch_size: int,
    num_workers: int,
    seed: int,
    rank: int = 0,
    world: int = 1,
    colour: bool = True,
) -> MemoryLoader | FileLoader:
    """The training batches of one rank; ``loader.batch_sampler.set_epoch(e)`` chooses the epoch.

    Images in memory come as uint8 batches for ``BatchAugment``, ``[index, images, labels]``. Files come as crops,
    ``[index, [crop, ...], labels]``, each (n, c, S, S): finished, in floats, or without ``colour`` uint8 ones for
    ``BatchAugment``. Raises ``InputError`` where there is less than one batch.
    """
    order = {"seed": seed, "rank": rank, "world": world, "batch_size": batch_size}
    if isinstance(images, MemorySet):
        return MemoryLoader(images, EpochSampler(len(images), **order))
    return FileLoader(
        TrainDataset(images, augmentations, seed, colour),
        batch_sampler=BatchSampler(len(images), **order),
        collate_fn=_as_it_is,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # else every epoch takes a number from the training process's own
    )


def eval_loader(
    images: ImageSet, *, crop_size: int, batch_size: int, num_workers: int, rank: int = 0, world: int = 1
) -> MemoryEvalLoader | FileLoader:
    """Every ``world``-th image from ``rank`` on, in order, none dropped or repeated.

    Yields ``[index (n,) int64, images (n, 3, S, S) float normalised, labels (n,)]``.
    """
    mine = range(rank, len(images), world)
    if isinstance(images, MemorySet):
        return MemoryEvalLoader(images, torch.tensor(mine), crop_size, batch_size)
    return FileLoader(
        EvalDataset(images, crop_size),
        sampler=mine,
        batch_size=batch_size,
        num_workers=num_workers,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),
    )


def _as_it_is(batch: list) -> list:
    """The data set makes whole batches."""
    return batch
