"""CPLearn's beta without a search: 1, where the terms of the bound tie, and lower while codes are being lost."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from cplearn_solo.core.distributed import sum_ranks, world_size

# On digits and CIFAR-10, u stays above this in runs at the best fixed beta, and falls below it in runs that lose their
# codes.
HEALTHY_USE = 0.5
MEMORY = 0.9  # of the moving average: about ten steps


class AutoBeta(nn.Module):
    """beta = min(1, u / 0.5), where u is H(mean assignment) / log min(n, c), as a moving average over batches.

    In the strict bound, invariance and prior tie at beta = 1. Above 1, hard assignments to fewer codes can have a lower
    loss; there, the accuracy in Table 9 collapses. Below 1, soft assignments can have a lower loss, and accuracy is
    lower. So beta is 1 as long as a batch spreads over its codes, and falls with u towards 0, where only the prior is
    left, which spreads the samples again.

    It does not react to assignments that stay soft. Near the state in which no sample prefers a code, a beta above 1
    would also favour one code for all samples, so values above 1 cannot help.
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
