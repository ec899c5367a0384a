"""Loaders of training and evaluation batches, for images in memory and in files."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from cplearn_solo.data.file_loader import EvalDataset, FileLoader, TrainDataset
from cplearn_solo.data.image_set import ImageSet, MemorySet
from cplearn_solo.data.memory_loader import MemoryEvalLoader, MemoryLoader
from cplearn_solo.data.order import EpochSampler
from cplearn_solo.data.schema import Augmentation
from cplearn_solo.data.workers import Workers, worker_number, worker_settings


def train_loader(
    images: ImageSet,
    augmentations: Sequence[Augmentation],
    *,
    batch_size: int,
    num_workers: Workers,
    seed: int,
    rank: int = 0,
    world: int = 1,
    colour: bool = True,
    processes: int = 1,
    device: torch.device | str = "cpu",
) -> MemoryLoader | FileLoader:
    """The training batches of one rank; ``loader.batch_sampler.set_epoch(e)`` chooses the epoch.

    Images in memory come as uint8 batches for ``BatchAugment``, ``[index, images, labels]``. Files come as crops,
    ``[index, [crop, ...], labels]``, each (n, c, S, S): finished floats, or, without ``colour``, uint8 for
    ``BatchAugment``. ``processes`` of the ``world`` processes run on this machine and share its cores. Batches of files
    can be copied fast to ``device``. Raises ``InputError`` if there is less than one batch.
    """
    batches = EpochSampler(len(images), seed=seed, rank=rank, world=world, batch_size=batch_size)
    if isinstance(images, MemorySet):
        return MemoryLoader(images, batches)
    workers = worker_number(num_workers, colour=colour, processes=processes)
    values = batch_size * len(images.mean) * sum(aug.num_crops * aug.crop_size**2 for aug in augmentations)
    batch_bytes = 4 * values if colour else values
    return FileLoader(
        TrainDataset(images, augmentations, seed, colour),
        device=device,
        batch_sampler=batches,
        persistent_workers=workers > 0,
        **worker_settings(workers, batch_bytes),
    )


def eval_loader(
    images: ImageSet,
    *,
    crop_size: int,
    batch_size: int,
    num_workers: Workers,
    rank: int = 0,
    world: int = 1,
    processes: int = 1,
    device: torch.device | str = "cpu",
) -> MemoryEvalLoader | FileLoader:
    """Every ``world``-th image from ``rank`` on, in order, none dropped or repeated.

    Yields ``[index (n,) int64, images (n, c, S, S) uint8, labels (n,)]``; those of files can be copied fast to
    ``device``.
    """
    mine = range(rank, len(images), world)
    if isinstance(images, MemorySet):
        return MemoryEvalLoader(images, torch.tensor(mine, dtype=torch.int64), crop_size, batch_size)
    workers = worker_number(num_workers, colour=False, processes=processes)
    batch_bytes = batch_size * len(images.mean) * crop_size**2
    dataset, settings = EvalDataset(images, crop_size), worker_settings(workers, batch_bytes)
    return FileLoader(dataset, device=device, sampler=mine, batch_size=batch_size, **settings)
