"""CPLearn's beta without a search: at the tie of the bound, and lower while codes are being lost."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from cplearn_solo.core.distributed import sum_ranks, world_size

# On digits and CIFAR-10, runs at the best fixed beta stay above it, and runs that lose their codes fall below it.
HEALTHY_USE = 0.5
MEMORY = 0.9  # of the moving average, ten steps


class AutoBeta(nn.Module):
    """beta = min(1, u / 0.5), u = H(mean assignment) / log min(n, c), a moving average over batches.

    In the strict bound invariance and prior tie at beta = 1. Above it hard assignments to fewer codes can have a lower
    loss, which is where Table 9's accuracy collapses; below it soft assignments have, at a cost in accuracy. So beta is
    1 as long as a batch spreads over its codes, and falls with u towards 0, where only the prior is left and spreads
    the samples again.

    It does not react to assignments that stay soft: near the state in which no sample prefers a code, beta above 1 also
    makes a code pay that all samples share, so that 1 is the most that can help.
    """

    def __init__(self, n: int, c: int) -> None:
        super().__init__()
        self.c = c
        self.register_buffer("entropy", torch.tensor(math.log(min(n, c))))

    def forward(self, n: int) -> Tensor:
        """beta as a scalar, for batches of n samples."""
        most = math.log(min(n, self.c))  # the entropy of a batch that uses as many codes as it can
        return (self.entropy / (HEALTHY_USE * most)).clamp(max=1)

    @torch.no_grad()
    def update(self, entropy: Tensor) -> None:
        """Moves the average towards the entropy of a batch's mean assignment, in nats, averaged over devices."""
        self.entropy.lerp_(sum_ranks(entropy.to(self.entropy)) / world_size(), 1 - MEMORY)
