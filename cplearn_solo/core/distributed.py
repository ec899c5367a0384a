"""The few collective operations that methods need: exact no-ops on a single process, differentiable on several."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn


def world_size() -> int:
    """Number of processes that train together; 1 outside ``torch.distributed``."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Index of this process, from 0 to :func:`world_size` - 1."""
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


def max_ranks(x: Tensor) -> Tensor:
    """Elementwise maximum over ranks, not differentiable; leaves ``x`` as it was."""
    if world_size() > 1:
        x = x.clone()
        dist.all_reduce(x, op=dist.ReduceOp.MAX)
    return x


def shared_generator(device: torch.device | str) -> torch.Generator:
    """A generator in the same state on every rank, for random numbers that all ranks must share.

    It is seeded from the CPU's global generator, with several ranks from that of the first rank; only then does the
    program wait for a GPU.
    """
    seed = torch.randint(2**62, (1,))
    if world_size() > 1:
        seed = seed.to(device)
        dist.broadcast(seed, src=0)
    return torch.Generator(device).manual_seed(seed.item())


def sync_batchnorm(module: nn.Module, *, on_gpus: bool = False) -> nn.Module:
    """``module`` with statistics of every BatchNorm over all ranks; :func:`own_batchnorm` undoes it.

    ``on_gpus``: by torch's own SyncBatchNorm, which is faster but works on GPUs only.
    """
    kind = SyncBatchNormOnGPUs if on_gpus else SyncBatchNorm
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and not isinstance(part, _Followed):
            part.own_class, part.__class__ = type(part), kind
    return module


def own_batchnorm(module: nn.Module) -> nn.Module:
    """``module`` with every BatchNorm as before :func:`sync_batchnorm`, so that a rank can use it alone."""
    for part in module.modules():
        if isinstance(part, _Followed):
            part.__class__ = part.own_class
    return module


class _Followed(nn.Module):
    """Applies a BatchNorm's children after it: timm's has dropout and activation inside."""

    own_class: type[nn.Module]

    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        for part in self.children():
            out = part(out)
        return out


class _OverRanks(nn.modules.batchnorm._BatchNorm):
    """BatchNorm over the rows of every rank, with the gradient of one process that holds them all."""

    def forward(self, x: Tensor) -> Tensor:
        if world_size() == 1 or not self.training:
            return super().forward(x)
        full = x.to(torch.promote_types(x.dtype, torch.float32))
        dims = [0, *range(2, x.ndim)]
        n = x.numel() // x.shape[1] * world_size()
        mean = _SumRanks.apply(full.sum(dims, keepdim=True)) / n
        centred = full - mean
        var = _SumRanks.apply(centred.square().sum(dims, keepdim=True)) / n
        out = centred * (var + self.eps).rsqrt()
        if self.track_running_stats:
            self.num_batches_tracked += 1
            rate = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean.detach().flatten().to(self.running_mean), rate)
            self.running_var.lerp_((var.detach() * n / (n - 1)).flatten().to(self.running_var), rate)
        if self.affine:
            shape = mean.shape
            out = out * self.weight.view(shape) + self.bias.view(shape)
        return out.to(x.dtype)

    def _check_input_dim(self, x: Tensor) -> None:
        """Accepts any number of dimensions from two."""


class SyncBatchNorm(_Followed, _OverRanks):
    """BatchNorm over all ranks, on any device."""


class SyncBatchNormOnGPUs(_Followed, nn.SyncBatchNorm):
    """torch's BatchNorm over all ranks, on GPUs only."""

    process_group = None  # all ranks


class _SumRanks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return sum_ranks(x)

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> Tensor:
        return sum_ranks(grad)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> Tensor:
        return sum_ranks(grad).chunk(world_size())[rank()]
