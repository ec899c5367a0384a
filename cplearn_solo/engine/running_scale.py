"""Features of a network in training, standardised by running statistics."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cplearn_solo.core.distributed import sum_ranks, world_size

NEWEST = 0.1  # weight of the newest batch in the statistics, once there have been ten
ROUNDING = 1e-6  # of a mean, relative to it: dimensions that vary less count as constant


class RunningScale(nn.Module):
    """Mean and variance ``(d,)`` of features, averaged over about the latest ten batches.

    They are buffers and part of a checkpoint; a checkpoint without them, of 0.2.0 or before, is read as if no batch had
    been seen. Nothing here waits for the device.
    """

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dimensions))
        self.register_buffer("variance", torch.ones(dimensions))
        self.register_buffer("batches", torch.zeros(()))

    @torch.no_grad()
    def update(self, feats: Tensor) -> Tensor:
        """Adds a batch ``(n, d)`` of each process; returns the root of the mean variance of all, a scalar."""
        variance, mean = torch.var_mean(feats, dim=0, correction=0)
        if (processes := world_size()) > 1:
            own = mean
            mean = sum_ranks(own) / processes
            variance = sum_ranks(variance + (own - mean).square()) / processes
        self.batches += 1
        newest = (1 / self.batches).clamp(min=NEWEST)
        self.mean.lerp_(mean, newest)
        self.variance.lerp_(variance, newest)
        return variance.mean().sqrt()

    def forward(self, feats: Tensor) -> Tensor:
        """Features ``(n, d)``, each dimension at mean 0 and variance 1, or 0 where it does not vary."""
        varies = self.variance > (ROUNDING * self.mean).square()
        return (feats - self.mean) * torch.where(varies, self.variance.rsqrt(), 0)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name, buffer in self.named_buffers():
            state_dict.setdefault(prefix + name, buffer.clone())
        super()._load_from_state_dict(state_dict, prefix, *args)
