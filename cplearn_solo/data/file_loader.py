"""Batches of images in files, which worker processes decode and augment one at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cplearn_solo.core.errors import InputError
from cplearn_solo.data.decode import NAMED, SKIPPED
from cplearn_solo.data.image_set import FileSet
from cplearn_solo.data.image_views import eval_image, per_image
from cplearn_solo.data.order import EpochSampler, hash_seed
from cplearn_solo.data.schema import Augmentation


class FileLoader(DataLoader):
    """A DataLoader over files that counts those which its data set could not read.

    In their place come their neighbours, under the number -1 - index. Each epoch that finds more of them warns with a
    count and some names; ``InputError`` where they are more than 1 % of all.
    """

    def __init__(self, dataset: TrainDataset | EvalDataset, **kwargs: Any) -> None:
        super().__init__(dataset, **kwargs)
        self._unreadable: set[int] = set()

    def __iter__(self) -> Iterator[list]:
        images, known = self.dataset.images, len(self._unreadable)
        # As this is a generator, workers start when the first batch is asked for: the sampler has its epoch by then.
        for batch in super().__iter__():
            index = batch[0]
            self._unreadable.update((-1 - index[index < 0]).tolist())
            if len(self._unreadable) > SKIPPED * len(images):
                images.load(min(self._unreadable))  # says what is wrong with it
                raise InputError(f"more than 1 % of {len(images)} images could not be read, though now they can")
            batch[0] = torch.where(index < 0, -1 - index, index)
            yield batch
        found = len(self._unreadable)
        if found > known:
            names = ", ".join(images.name(i) for i in sorted(self._unreadable)[:NAMED])
            more = ", ..." if found > NAMED else ""
            message = f"{found} of {len(images)} images could not be read and are skipped: {names}{more}"
            warnings.warn(message, stacklevel=2)


def _load_readable(images: FileSet, index: int) -> tuple[int, Image.Image]:
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


class EpochIndexSampler(EpochSampler):
    """Batches of (epoch, index): workers live longer than an epoch, so the epoch has to reach them with the index."""

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for batch in super().__iter__():
            yield [(self.epoch, index) for index in batch]


class TrainDataset(Dataset):
    """(epoch, index) -> (index, crops, label), at random but a function of (seed, epoch, index) only."""

    def __init__(self, images: FileSet, augmentations: Sequence[Augmentation], seed: int) -> None:
        self.images, self.seed = images, seed
        pipelines = [(per_image(aug, images.mean, images.std), aug.num_crops) for aug in augmentations]
        self.pipelines = [pipeline for pipeline, crops in pipelines for _ in range(crops)]

    def __getitem__(self, item: tuple[int, int]) -> tuple[int, list[Tensor], Tensor]:
        epoch, index = item
        number, image = _load_readable(self.images, index)
        with torch.random.fork_rng(devices=[]):  # without workers this is the training process, which keeps its state
            torch.default_generator.manual_seed(hash_seed(self.seed, epoch, index))
            label = self.images.labels[index] if number == index else torch.tensor(-1)
            return number, [pipeline(image) for pipeline in self.pipelines], label


class EvalDataset(Dataset):
    """index -> (index, image, label)."""

    def __init__(self, images: FileSet, crop_size: int) -> None:
        self.images, self.pipeline = images, eval_image(crop_size, images.mean, images.std)

    def __getitem__(self, index: int) -> tuple[int, Tensor, Tensor]:
        number, image = _load_readable(self.images, index)
        return number, self.pipeline(image), self.images.labels[index] if number == index else torch.tensor(-1)
