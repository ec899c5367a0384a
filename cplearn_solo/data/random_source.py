"""Random numbers for the views of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class RandomSource:
    """Random numbers from one generator (None: torch's own), delivered to the device of the images."""

    def __init__(self, generator: torch.Generator | None, device: torch.device) -> None:
        self.generator, self.device = generator, device
        self.source = generator.device if generator else device

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.empty(shape, device=self.source).uniform_(low, high, generator=self.generator).to(self.device)

    def normal(self, shape: Sequence[int]) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.source).to(self.device)

    def chosen(self, n: int, prob: float) -> Tensor:
        """Indices of the samples, each with probability ``prob``."""
        draw = torch.rand(n, generator=self.generator, device=self.source)
        return (draw < prob).nonzero().flatten().to(self.device)

    def order(self, n: int) -> list[int]:
        return torch.randperm(n, generator=self.generator, device=self.source).tolist()
