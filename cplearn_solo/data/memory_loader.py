"""Batches of images in memory, made on the device where the images are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from cplearn_solo.data.centre import centre, sides_in_memory
from cplearn_solo.data.image_set import MemorySet
from cplearn_solo.data.order import EpochSampler


class _OnDevice:
    """Images in memory that may be moved, so that batches are made where they are."""

    def __init__(self, images: MemorySet) -> None:
        self.images = images

    def to(self, device: str | torch.device) -> None:
        """Moves all images and labels."""
        self.images = replace(self.images, images=self.images.images.to(device), labels=self.images.labels.to(device))

    @property
    def num_bytes(self) -> int:
        return self.images.images.nbytes

    @property
    def device(self) -> torch.device:
        return self.images.images.device


class MemoryLoader(_OnDevice):
    """Iterates ``[index (n,) int64, images (n, c, H, W), labels (n,)]``; images are uint8, not augmented yet."""

    def __init__(self, images: MemorySet, batch_sampler: EpochSampler) -> None:
        super().__init__(images)
        self.batch_sampler = batch_sampler

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[list[Tensor]]:
        # The order of a whole epoch is moved once: a copy in every step would make the program wait for a GPU.
        for index in self.batch_sampler.batches().to(self.device):
            yield [index, self.images.images[index], self.images.labels[index]]


class MemoryEvalLoader(_OnDevice):
    """Iterates ``[index (n,) int64, images (n, c, S, S) uint8, labels (n,)]`` over ``index`` in order."""

    def __init__(self, images: MemorySet, index: Tensor, crop_size: int, batch_size: int) -> None:
        super().__init__(images)
        self.index, self.batch_size = index, batch_size
        self.sides = sides_in_memory(images.images, crop_size)

    def __len__(self) -> int:
        return -(-len(self.index) // self.batch_size)

    def __iter__(self) -> Iterator[list[Tensor]]:
        for index in self.index.to(self.device).split(self.batch_size)[: len(self)]:  # split makes one part of nothing
            yield [index, centre(self.images.images[index], *self.sides), self.images.labels[index]]
