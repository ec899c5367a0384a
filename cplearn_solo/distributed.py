"""The few collective operations that methods need: exact no-ops on a single process, differentiable on several."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Number of processes that train together; 1 outside ``torch.distributed``."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Index of this process among :func:`world_size`."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def gather(x: Tensor) -> Tensor:
    """Rows of every rank, in rank order: ``(n, ...)`` to ``(n * world, ...)``; every rank has the same n.

    Gradients flow back to the rank that owns a row and are summed over the ranks that used it. A loss that is a mean
    over the gathered batch therefore has, after DDP's averaging, the gradient of one process with the whole batch.
    """
    return x if world_size() == 1 else _Gather.apply(x)


def sum_ranks(x: Tensor) -> Tensor:
    """Elementwise sum over ranks, not differentiable; leaves ``x`` as it was."""
    if world_size() > 1:
        x = x.clone()
        dist.all_reduce(x)
    return x


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> Tensor:
        return sum_ranks(grad).chunk(world_size())[rank()]
