"""Batches of images in files, which worker processes decode and augment one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cplearn_solo.core.errors import InputError
from cplearn_solo.data.image_set import FileSet
from cplearn_solo.data.image_views import eval_image, per_image
from cplearn_solo.data.order import EpochSampler, hash_seed
from cplearn_solo.data.schema import Augmentation
from cplearn_solo.data.tally import Note, Tally


class FileLoader(DataLoader):
    """A DataLoader over files that keeps a tally of what its data set notes on them, the last entry of a batch.

    The neighbours of files that cannot be read take their place, without a label. Raises ``InputError`` where these
    are too many.
    """

    def __init__(self, dataset: TrainDataset | EvalDataset, **kwargs: Any) -> None:
        super().__init__(dataset, **kwargs)
        self._tally = Tally(dataset.images)

    def __iter__(self) -> Iterator[list]:
        # As this is a generator, workers start when the first batch is asked for: the sampler has its epoch by then.
        try:
            for *batch, notes in super().__iter__():
                noted = notes.nonzero().flatten()
                for index, note in zip(batch[0][noted].tolist(), notes[noted].tolist()):
                    self._tally.add(index, Note(note))
                yield batch
        except InputError as error:  # which brings a worker's traceback along in its text
            raise InputError(str(error).strip().rpartition("\n")[2].partition("InputError: ")[2] or error) from None
        self._tally.tell()


class EpochIndexSampler(EpochSampler):
    """Batches of (epoch, index): workers live longer than an epoch, so the epoch has to reach them with the index."""

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for batch in super().__iter__():
            yield [(self.epoch, index) for index in batch]


class TrainDataset(Dataset):
    """(epoch, index) -> (index, crops, label, note), at random but a function of (seed, epoch, index) only."""

    def __init__(self, images: FileSet, augmentations: Sequence[Augmentation], seed: int) -> None:
        self.images, self.seed = images, seed
        pipelines = [(per_image(aug, images.mean, images.std), aug.num_crops) for aug in augmentations]
        self.pipelines = [pipeline for pipeline, crops in pipelines for _ in range(crops)]

    def __getitem__(self, item: tuple[int, int]) -> tuple[int, list[Tensor], Tensor, Note]:
        epoch, index = item
        image, note = self.images.read(index)
        with torch.random.fork_rng(devices=[]):  # without workers this is the training process, which keeps its state
            torch.default_generator.manual_seed(hash_seed(self.seed, epoch, index))
            return index, [pipeline(image) for pipeline in self.pipelines], _label(self.images, index, note), note


class EvalDataset(Dataset):
    """index -> (index, image, label, note)."""

    def __init__(self, images: FileSet, crop_size: int) -> None:
        self.images, self.pipeline = images, eval_image(crop_size, images.mean, images.std)

    def __getitem__(self, index: int) -> tuple[int, Tensor, Tensor, Note]:
        image, note = self.images.read(index)
        return index, self.pipeline(image), _label(self.images, index, note), note


def _label(images: FileSet, index: int, note: Note) -> Tensor:
    return torch.tensor(-1) if note == Note.UNREADABLE else images.labels[index]
