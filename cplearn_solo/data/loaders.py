"""Batches of images, in an order that is a function of (seed, epoch) only.

Nothing here remembers what came before: a run resumed at epoch e sees what an uninterrupted run sees.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from cplearn_solo.core.errors import InputError
from cplearn_solo.data.image_set import NAMED, SKIPPED, FileSet, ImageSet, MemorySet
from cplearn_solo.data.per_batch import eval_batch
from cplearn_solo.data.per_image import eval_image, per_image
from cplearn_solo.data.schema import Augmentation


def _mix(*numbers: int) -> int:
    """A 64-bit hash of integers: seeds close to each other give unrelated streams."""
    return int.from_bytes(blake2b(repr(numbers).encode(), digest_size=8).digest(), "big")


def step_generator(
    seed: int, epoch: int, step: int, rank: int = 0, device: str | torch.device = "cpu"
) -> torch.Generator:
    """The generator of one training step on one rank, a function of its arguments only."""
    return torch.Generator(device).manual_seed(_mix(seed, epoch, step, rank))


class EpochSampler(Sampler[list[int]]):
    """Batches of indices of one rank; the last incomplete batch is dropped.

    Every rank has its own part of the epoch and as many batches as the others. Raises ``InputError`` where there are
    fewer images than one batch on every rank.
    """

    def __init__(
        self, size: int, *, seed: int, rank: int = 0, world: int = 1, batch_size: int, shuffle: bool = True
    ) -> None:
        if not 1 <= batch_size * world <= size:
            each = f"batch_size {batch_size}" + (f" on each of {world} devices" if world > 1 else "")
            raise InputError(f"optimizer: {each} needs as many training images, but there are {size}")
        self.size, self.seed, self.rank, self.world = size, seed, rank, world
        self.batch_size, self.shuffle, self.epoch = batch_size, shuffle, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size // self.world // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        order = np.arange(self.size)
        if self.shuffle:
            np.random.default_rng(_mix(self.seed, self.epoch)).shuffle(order)
        mine = order[self.rank :: self.world]
        for batch in range(len(self)):
            yield mine[batch * self.batch_size : (batch + 1) * self.batch_size].tolist()


# --- images in memory --------------------------------------------------------------------------------------------


class MemoryLoader:
    """Iterates ``[index (n,) int64, images (n, 3, H, W), labels (n,)]``; images are uint8, not augmented yet."""

    def __init__(self, images: MemorySet, batch_sampler: EpochSampler) -> None:
        self.images, self.batch_sampler = images, batch_sampler

    def to(self, device: str | torch.device) -> None:
        """Moves all images, so that batches are made there."""
        self.images = replace(self.images, images=self.images.images.to(device), labels=self.images.labels.to(device))

    @property
    def num_bytes(self) -> int:
        return self.images.images.nbytes

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[list[Tensor]]:
        for batch in self.batch_sampler:
            index = torch.tensor(batch, device=self.images.images.device)
            yield [index, self.images.images[index], self.images.labels[index]]


class MemoryEvalLoader:
    """Iterates ``[index (n,) int64, images (n, 3, S, S) float normalised, labels (n,)]`` over ``index`` in order."""

    def __init__(self, images: MemorySet, index: Tensor, crop_size: int, batch_size: int) -> None:
        self.images, self.batches, self.crop_size = images, index.split(batch_size), crop_size

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[Tensor]]:
        for index in self.batches:
            batch = eval_batch(self.images.images[index], self.crop_size, self.images.mean, self.images.std)
            yield [index, batch, self.images.labels[index]]


# --- images in files ---------------------------------------------------------------------------------------------


class FileLoader(DataLoader):
    """A DataLoader over files that counts those which its data set could not read.

    In their place come their neighbours, under the number -1 - index. Each epoch that finds more of them warns with a
    count and some names; ``InputError`` where they are more than 1 % of all.
    """

    def __init__(self, dataset: _Views | _Centres, **kwargs: Any) -> None:
        super().__init__(dataset, **kwargs)
        self._unreadable: set[int] = set()

    def __iter__(self) -> Iterator[list]:
        images, known = self.dataset.images, len(self._unreadable)
        # a generator, so that workers start with the first batch, after an epoch's start has set the sampler's epoch
        for batch in super().__iter__():
            index = batch[0]
            self._unreadable.update((-1 - index[index < 0]).tolist())
            if len(self._unreadable) > SKIPPED * len(images):
                images.load(min(self._unreadable))  # says what is wrong with it
                raise InputError(f"more than 1 % of {len(images)} images could not be read, though now they can")
            batch[0] = torch.where(index < 0, -1 - index, index)
            yield batch
        if len(self._unreadable) > known:
            names = ", ".join(images.name(i) for i in sorted(self._unreadable)[:NAMED])
            more = "" if len(self._unreadable) <= NAMED else ", ..."
            count = f"{len(self._unreadable)} of {len(images)} images"
            warnings.warn(f"{count} could not be read and are skipped: {names}{more}", stacklevel=2)


def _readable(images: FileSet, index: int) -> tuple[int, Image.Image]:
    """Number and image; of one that cannot be read -1 - index and the next one that can."""
    try:
        return index, images.load(index)
    except InputError as error:
        for after in range(1, min(len(images), 100)):
            try:
                return -1 - index, images.load((index + after) % len(images))
            except InputError:
                continue
        raise error


class _EpochPairs(EpochSampler):
    """Batches of (epoch, index): workers outlive epochs, so the epoch has to reach them with the index."""

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for batch in super().__iter__():
            yield [(self.epoch, index) for index in batch]


class _Views(Dataset):
    """(epoch, index) -> (index, crops, label), at random but a function of (seed, epoch, index) only."""

    def __init__(self, images: FileSet, augmentations: Sequence[Augmentation], seed: int) -> None:
        self.images, self.seed = images, seed
        pipelines = [(per_image(aug, images.mean, images.std), aug.num_crops) for aug in augmentations]
        self.pipelines = [pipeline for pipeline, crops in pipelines for _ in range(crops)]

    def __getitem__(self, item: tuple[int, int]) -> tuple[int, list[Tensor], Tensor]:
        epoch, index = item
        number, image = _readable(self.images, index)
        with torch.random.fork_rng(devices=[]):  # without workers this is the training process: leave its state alone
            torch.default_generator.manual_seed(_mix(self.seed, epoch, index))
            label = self.images.labels[index] if number == index else torch.tensor(-1)
            return number, [pipeline(image) for pipeline in self.pipelines], label


class _Centres(Dataset):
    """index -> (index, image, label)"""

    def __init__(self, images: FileSet, crop_size: int) -> None:
        self.images, self.pipeline = images, eval_image(crop_size, images.mean, images.std)

    def __getitem__(self, index: int) -> tuple[int, Tensor, Tensor]:
        number, image = _readable(self.images, index)
        return number, self.pipeline(image), self.images.labels[index] if number == index else torch.tensor(-1)


# --- both --------------------------------------------------------------------------------------------------------


def train_loader(
    images: ImageSet,
    augmentations: Sequence[Augmentation],
    *,
    batch_size: int,
    num_workers: int,
    seed: int,
    rank: int = 0,
    world: int = 1,
) -> MemoryLoader | FileLoader:
    """The training batches of one rank; ``loader.batch_sampler.set_epoch(e)`` chooses the epoch.

    Images in memory come as uint8 batches for ``BatchAugment``, ``[index, images, labels]``. Files come augmented by
    worker processes, ``[index, [crop, ...], labels]`` with crops float (n, 3, S, S). Raises ``InputError`` where
    there is less than one batch.
    """
    order = {"seed": seed, "rank": rank, "world": world, "batch_size": batch_size}
    if isinstance(images, MemorySet):
        return MemoryLoader(images, EpochSampler(len(images), **order))
    return FileLoader(
        _Views(images, augmentations, seed),
        batch_sampler=_EpochPairs(len(images), **order),
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
        _Centres(images, crop_size),
        sampler=mine,
        batch_size=batch_size,
        num_workers=num_workers,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),
    )
