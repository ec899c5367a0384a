"""Random numbers for the views of a batch."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from cplearn_solo.data.order import hash_seed


class RandomSource:
    """Random numbers from one generator (None: the global ones), delivered to the device of the images.

    If they are drawn on a GPU, the program does not wait for them.
    """

    def __init__(self, generator: torch.Generator | None, device: torch.device) -> None:
        self.generator, self.device = generator, device
        self.source = generator.device if generator else device
        self._host = _on_host(generator) if self.source.type == "cuda" else None

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.empty(shape, device=self.source).uniform_(low, high, generator=self.generator).to(self.device)

    def normal(self, shape: Sequence[int]) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.source).to(self.device)

    def order(self, n: int) -> list[int]:
        """A permutation of 0..n-1 as Python's integers, which the program can branch on."""
        if self._host is not None:
            return self._host.sample(range(n), n)
        return torch.randperm(n, generator=self.generator, device=self.source).tolist()


def _on_host(generator: torch.Generator | None) -> random.Random:
    """A generator of Python, whose numbers need not be fetched from a GPU, seeded by the state of ``generator``."""
    if generator is None:
        return random.Random(random.getrandbits(64))
    return random.Random(hash_seed(generator.initial_seed(), generator.get_offset()))
