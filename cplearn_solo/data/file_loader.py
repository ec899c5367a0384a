"""Batches of images in files, which worker processes decode and cut, and augment if the training device is theirs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cplearn_solo.core.errors import InputError
from cplearn_solo.data.batch_views import BatchAugment
from cplearn_solo.data.crops import Crop, cut, draw_crops, spare_pixels
from cplearn_solo.data.image_set import FileSet
from cplearn_solo.data.image_views import eval_image
from cplearn_solo.data.order import EpochSampler, hash_seed, step_generator
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


@contextmanager
def lost_workers_told(num_workers: int) -> Iterator[None]:
    """A worker that dies, at whatever moment the training process hears of it, is an ``InputError`` of one line."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        how = str(error).partition("\n")[0].strip().removesuffix(".")
        raise InputError(f"data.num_workers = {num_workers}: must be lower if memory ran out: {how}") from error


class Batch(NamedTuple):
    """Which images to read, and all that their views depend on beside the seed.

    Workers live longer than an epoch, so the epoch has to reach them with the indices.
    """

    epoch: int
    step: int
    rank: int
    indices: Sequence[int]


class BatchSampler(EpochSampler):
    """The batches of :class:`EpochSampler`, each as a :class:`Batch`."""

    def __iter__(self) -> Iterator[Batch]:
        for step, indices in enumerate(super().__iter__()):
            yield Batch(self.epoch, step, self.rank, indices)


class TrainDataset(Dataset):
    """:class:`Batch` -> ``[index, [crop, ...], labels, notes]``, with crops (n, c, S, S).

    Where crops are is a function of (seed, epoch, index). With ``colour`` they are finished as ``BatchAugment`` does in
    a training step, a function of (seed, epoch, step, rank); without, they are uint8.
    """

    def __init__(self, images: FileSet, augmentations: Sequence[Augmentation], seed: int, colour: bool) -> None:
        self.images, self.augmentations, self.seed, self.colour = images, augmentations, seed, colour
        self.augment = BatchAugment(augmentations, images.mean, images.std)

    def __getitems__(self, batch: Batch) -> list:
        crops, notes = zip(*(self._crops(batch.epoch, index) for index in batch.indices))
        views = [torch.stack(one) for one in zip(*crops)]
        if self.colour:
            views = self.augment(views, step_generator(self.seed, batch.epoch, batch.step, batch.rank))
        labels = torch.stack([_label(self.images, index, note) for index, note in zip(batch.indices, notes)])
        return [torch.tensor(batch.indices), views, labels, torch.tensor(notes)]

    def _crops(self, epoch: int, index: int) -> tuple[list[Tensor], Note]:
        @cache  # as it is asked before decoding and after
        def crops_of(width: int, height: int) -> list[Crop]:
            return draw_crops(self.augmentations, width, height, hash_seed(self.seed, epoch, index))

        image, note = self.images.read(index, lambda *size: spare_pixels(crops_of(*size)))
        return cut(image, crops_of(*image.size)), note


class EvalDataset(Dataset):
    """index -> (index, image, label, note)."""

    def __init__(self, images: FileSet, crop_size: int) -> None:
        self.images, self.pipeline = images, eval_image(crop_size, images.mean, images.std)

    def __getitem__(self, index: int) -> tuple[int, Tensor, Tensor, Note]:
        image, note = self.images.read(index)
        return index, self.pipeline(image.image), _label(self.images, index, note), note


def _label(images: FileSet, index: int, note: Note) -> Tensor:
    return torch.tensor(-1) if note == Note.UNREADABLE else images.labels[index]
