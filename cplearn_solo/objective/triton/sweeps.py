"""The sweeps for GPUs: over the same tiles as :mod:`chunked`, with a Triton kernel or two for each tile."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cplearn_solo.core.distributed import max_ranks, sum_ranks
from cplearn_solo.objective.cached import cached_tensor
from cplearn_solo.objective.softmax_sums import SoftmaxSums, TileSums
from cplearn_solo.objective.spec import LossAndGradient, LossSpec
from cplearn_solo.objective.sweeps import Sweeps
from cplearn_solo.objective.tiles import Tiles
from cplearn_solo.objective.triton import kernels


def triton(h: Tensor, spec: LossSpec) -> LossAndGradient:
    """The objective of embeddings ``(views, n, f)``, in float32 where they are in float64."""
    with torch.cuda.device_of(h):  # Triton launches on the current device
        return TritonSweeps(h.float() if h.dtype == torch.float64 else h, spec).run()


class TritonTiles(Tiles):
    """Tiles of W go from bits to the type of products in one step."""

    def _unpack(self, start: int, stop: int) -> Tensor:
        words = self.dictionary.words[:, start:stop]
        rows, width = 32 * len(words), stop - start
        out = self._memory("w", rows, self.h.dtype)[: rows * width].view(rows, width)
        return kernels.unpack(words, out)[: self.dictionary.f]


class TritonSweeps(Sweeps):
    """Each sweep is a loop over tiles of codes; what a loop does never makes the program wait for the GPU."""

    def __init__(self, h: Tensor, spec: LossSpec) -> None:
        super().__init__(h, spec)
        self.reverse = spec.prior_loss == "reverse"
        self.terms_on_device = cached_tensor(tuple(self.terms), dtype=torch.int32, device=h.device)
        paired = tuple(tuple(b in others for b in range(len(h))) for others in self.partners)
        self.paired = cached_tensor(paired, dtype=torch.float32, device=h.device)
        self.tiles = TritonTiles(h, spec.dictionary, spec.temperature, kept_bytes=spec.kept_bytes)

    def softmax_sums(self, first: int) -> list[TileSums]:
        result = []
        for k, (start, _) in enumerate(self.tiles.bounds):
            z = self.tiles.logits(k)
            top, sum_exp, codes = kernels.rows(z)
            moments = kernels.moments(z, top, self.terms_on_device)
            result.append(TileSums(top, sum_exp, moments, codes[0] + first + start))
        return result

    def mean_assignments(self, sums: SoftmaxSums) -> tuple[Tensor, Tensor]:
        spec, of_samples = self.spec, (sums.max_logit, sums.log_sum_exp)
        log_mean = sums.max_logit.new_empty(len(sums.max_logit), self.groups[0], spec.dictionary.c)
        grad_sum = torch.zeros_like(sums.sum_exp)
        for k, (start, stop) in enumerate(self.tiles.bounds):
            z, codes = self.tiles.logits(k), slice(start, stop)
            top, total = kernels.columns(z, *of_samples, self.groups[0])
            if spec.samples_shared:
                top, own_top = max_ranks(top), top
                total = sum_ranks(total * (own_top - top).exp())
            log_mean[:, :, codes] = top + total.log() - math.log(spec.samples)
            log_ratio = log_mean[:, :, codes] - spec.log_prior(codes, like=log_mean)
            grad_sum += kernels.grad_sums(z, *of_samples, log_ratio, reverse=self.reverse)
        return log_mean, grad_sum

    def gradient(self, sums: SoftmaxSums, log_ratio: Tensor, constant: Tensor) -> Tensor:
        tiles, beta = self.tiles, self.spec.beta
        beta = beta if isinstance(beta, Tensor) else torch.full((), beta, device=tiles.h.device)
        grad = tiles.h.new_zeros(tiles.h.flatten(0, 1).shape, dtype=tiles.dtype)
        for k, (start, stop) in enumerate(tiles.bounds):
            z = tiles.logits(k)
            dz = kernels.gradient(
                z, sums.max_logit, sums.log_sum_exp, log_ratio[:, :, start:stop].contiguous(), constant, self.paired,
                beta=beta, reverse=self.reverse, out=torch.empty_like(z),
            )  # fmt: skip
            grad += dz.flatten(0, 1) @ tiles.w(k).T
        return grad.view_as(tiles.h)
