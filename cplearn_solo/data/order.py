"""Orders and random numbers that are functions of (seed, epoch, step, rank) only.

Nothing here remembers what came before: a run resumed at epoch e sees what an uninterrupted run sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

from cplearn_solo.core.errors import require


def hash_seed(*numbers: int) -> int:
    """A 64-bit hash of integers: seeds close to each other give unrelated streams."""
    return int.from_bytes(blake2b(repr(numbers).encode(), digest_size=8).digest(), "big")


def step_generator(
    seed: int, epoch: int, step: int, rank: int = 0, device: str | torch.device = "cpu"
) -> torch.Generator:
    """The generator of one training step on one rank, a function of its arguments only."""
    return torch.Generator(device).manual_seed(hash_seed(seed, epoch, step, rank))


class Batch(NamedTuple):
    """Which images to read, and everything but the seed that their views depend on.

    Workers live longer than an epoch, so the epoch is sent to them with the indices.
    """

    epoch: int
    step: int
    rank: int
    indices: list[int]


class EpochSampler(Sampler[Batch]):
    """The batches of one rank; the last incomplete batch is dropped.

    Every rank has its own part of the epoch and the same number of batches. Raises ``InputError`` if there are too few
    images for one batch on every rank.
    """

    def __init__(self, size: int, *, seed: int, rank: int = 0, world: int = 1, batch_size: int) -> None:
        each = f" on each of {world} devices" if world > 1 else ""
        wanted = f"from 1 to {size // world}{each}, as there are {size} training images"
        require(1 <= batch_size <= size // world, "optimizer.batch_size", batch_size, wanted)
        self.size, self.seed, self.rank, self.world = size, seed, rank, world
        self.batch_size, self.epoch = batch_size, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size // self.world // self.batch_size

    def __iter__(self) -> Iterator[Batch]:
        for step, indices in enumerate(self.batches().tolist()):
            yield Batch(self.epoch, step, self.rank, indices)

    def batches(self) -> Tensor:
        """The indices of the epoch, int64 of shape (batches, batch size)."""
        order = np.random.default_rng(hash_seed(self.seed, self.epoch)).permutation(self.size)
        mine = torch.from_numpy(order)[self.rank :: self.world][: len(self) * self.batch_size]
        return mine.reshape(len(self), self.batch_size).contiguous()
