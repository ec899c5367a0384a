"""CPLearn's beta without a search: at the tie of the bound, and lower while codes are being lost."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from cplearn_solo.core.distributed import sum_ranks, world_size

# Runs on digits and CIFAR-10 at the best fixed beta stay above it, runs that lose their codes pass it on the way down.
HEALTHY_USE = 0.5
MEMORY = 0.9  # of the moving average, ten steps


class AutoBeta(nn.Module):
    """beta = min(1, u / 0.5), u = H(mean assignment) / log min(n, c), a moving average over batches.

    In the strict bound invariance and prior tie at beta = 1: above it hard assignments to fewer codes can pay, which is
    Table 9's cliff, and below it soft ones do, at a cost in accuracy. So beta is 1 as long as a batch spreads over
    its codes, and falls with u towards 0, where only the prior is left and spreads samples again.
    """

    def __init__(self, n: int, c: int) -> None:
        super().__init__()
        self.most = math.log(min(n, c))  # the entropy of a batch that uses as many codes as it can
        self.register_buffer("entropy", torch.tensor(self.most))

    def forward(self) -> Tensor:
        """beta as a scalar."""
        return (self.entropy / (HEALTHY_USE * self.most)).clamp(max=1)

    @torch.no_grad()
    def update(self, entropy: Tensor) -> None:
        """Takes in the entropy of a batch's mean assignment, in nats; the mean over devices where there are several."""
        self.entropy.lerp_(sum_ranks(entropy.to(self.entropy)) / world_size(), 1 - MEMORY)
