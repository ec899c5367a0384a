"""Batches of images in files: worker processes decode and cut them, and augment them, too, if training is on a CPU."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cplearn_solo.core.errors import InputError, lost_worker
from cplearn_solo.core.processes import end_children
from cplearn_solo.core.stops import held_back
from cplearn_solo.data.batch_views import BatchAugment
from cplearn_solo.data.centre import centre, sides_of_files
from cplearn_solo.data.crops import as_tensor, channels_first, cut, draw_crops, spare_pixels
from cplearn_solo.data.image_set import FileSet
from cplearn_solo.data.order import Batch, hash_seed, step_generator
from cplearn_solo.data.schema import Augmentation
from cplearn_solo.data.tally import Note, Tally

_workers: WeakSet[BaseProcess] = WeakSet()  # of all loaders


class FileLoader(DataLoader):
    """A DataLoader over files that counts the notes of its data set on them, which are the last entry of a batch.

    A file that cannot be read is replaced by the next one that can, without a label. Raises ``InputError`` if too many
    cannot be read. ``device`` is where batches will go: memory that a GPU copies from is pinned.
    """

    def __init__(
        self, dataset: TrainDataset | EvalDataset, *, device: torch.device | str = "cpu", **kwargs: Any
    ) -> None:
        # without this generator, every epoch would draw a number from the global one of the training process
        pinned = torch.device(device).type == "cuda"
        own = {"collate_fn": _as_it_is, "pin_memory": pinned, "generator": torch.Generator()}
        own["worker_init_fn"] = _begin_worker
        super().__init__(dataset, **own, **kwargs)
        self._tally = Tally(dataset.images)
        self.waited = 0.0  # seconds of the latest epoch spent waiting for batches

    def __iter__(self) -> Iterator[list]:
        # As this is a generator, workers start at the first request for a batch, when the sampler knows its epoch.
        try:
            for *batch, notes in self._clocked():
                noted = notes.nonzero().flatten()
                for index, note in zip(batch[0][noted].tolist(), notes[noted].tolist()):
                    self._tally.add(index, Note(note))
                yield batch
        except InputError as error:  # its text includes the traceback of a worker
            raise InputError(str(error).strip().rpartition("\n")[2].partition("InputError: ")[2] or error) from None
        self._tally.tell()

    @property
    def unreadable(self) -> set[int]:
        """Indices of the files in the batches so far that could not be read."""
        return self._tally.unreadable

    def _clocked(self) -> Iterator[list]:
        self.waited, start = 0.0, time.perf_counter()
        with held_back():
            batches = super().__iter__()  # starts the workers
        _workers.update(getattr(batches, "_workers", ()))
        for batch in batches:
            self.waited += time.perf_counter() - start
            yield batch
            start = time.perf_counter()

    def check_worker_number_rationality(self) -> None:
        """Silences PyTorch's warning of more workers than cores: the user asked for them."""


@contextmanager
def lost_workers_told(num_workers: int) -> Iterator[None]:
    """Turns the death of a worker into an ``InputError`` of one line, whenever the training process learns of it."""
    try:
        yield
    except Exception as error:
        if not (how := lost_worker(error)):
            raise
        raise InputError(f"data.num_workers = {num_workers}: must be lower if memory ran out: {how}") from error


class TrainDataset(Dataset):
    """:class:`Batch` -> ``[index, [crop, ...], labels, notes]``, with crops (n, c, S, S).

    The position of a crop is a function of (seed, epoch, index). With ``colour``, ``BatchAugment`` finishes crops as in
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
        return [torch.tensor(batch.indices), views, _labels(self.images, batch.indices, notes), torch.tensor(notes)]

    def _crops(self, epoch: int, index: int) -> tuple[list[Tensor], Note]:
        seed = hash_seed(self.seed, epoch, index)
        crops_of = cache(partial(draw_crops, self.augmentations, seed=seed))  # called before decoding and after
        image, note = self.images.read(index, lambda *size: spare_pixels(crops_of(*size)))
        return cut(image, crops_of(*image.size)), note


class EvalDataset(Dataset):
    """Indices -> ``[index, images, labels, notes]``, with images (n, c, S, S) uint8."""

    def __init__(self, images: FileSet, crop_size: int) -> None:
        self.images, self.sides = images, sides_of_files(crop_size)

    def __getitems__(self, indices: list[int]) -> list:
        views, notes = zip(*map(self._view, indices))
        return [torch.tensor(indices), torch.stack(views), _labels(self.images, indices, notes), torch.tensor(notes)]

    def _view(self, index: int) -> tuple[Tensor, Note]:
        image, note = self.images.read(index, lambda *size: min(size) / self.sides[0])
        return channels_first(centre(as_tensor(image.image), *self.sides)), note


def _labels(images: FileSet, indices: Sequence[int], notes: Sequence[Note]) -> Tensor:
    labels, readable = images.labels[torch.tensor(indices)], torch.tensor(notes) != Note.UNREADABLE
    return torch.where(readable, labels, -1)


@atexit.register
def _end_workers() -> None:
    """Ends the workers of a program that exits within an epoch, such as one that keeps an error of it."""
    end_children(_workers.intersection(multiprocessing.active_children()))


def _begin_worker(worker: int) -> None:
    sys.excepthook = _unless_left
    Queue._on_queue_feeder_error = staticmethod(_not_handed_over)


def _not_handed_over(error: Exception, batch: Any) -> None:
    """Ends a worker whose batch does not fit in shared memory: training notices a dead worker, not a missing batch."""
    os._exit(1)


def _unless_left(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Hides errors of threads that hand batches to a training process that has ended."""
    if not issubclass(kind, (ConnectionError, EOFError)):
        sys.__excepthook__(kind, error, trace)


def _as_it_is(batch: list) -> list:
    """The data sets make whole batches."""
    return batch
