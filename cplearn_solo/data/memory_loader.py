"""Batches of images in memory, made on the device where the images are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from cplearn_solo.data.batch_views import eval_batch
from cplearn_solo.data.image_set import MemorySet
from cplearn_solo.data.order import EpochSampler


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
