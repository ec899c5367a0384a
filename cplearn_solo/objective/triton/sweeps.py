"""The sweeps for GPUs: over the same tiles as :mod:`chunked`, with a few Triton kernels for each tile."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cplearn_solo.core.cached import cached_tensor
from cplearn_solo.core.distributed import max_ranks, sum_ranks
from cplearn_solo.objective.softmax_sums import SoftmaxSums, TileSums
from cplearn_solo.objective.spec import LossAndGradient, LossSpec
from cplearn_solo.objective.sweeps import Sweeps
from cplearn_solo.objective.tiles import Tiles
from cplearn_solo.objective.triton import kernels, products


def triton(h: Tensor, spec: LossSpec) -> LossAndGradient:
    """The objective of embeddings ``(views, n, f)``, in float32 where they are in float64."""
    with torch.cuda.device_of(h):  # Triton launches on the current device
        return TritonSweeps(h.float() if h.dtype == torch.float64 else h, spec).run()


class TritonTiles(Tiles):
    """Logits come from the bits of W, which is never multiplied out."""

    def times_transposed_w(self, k: int, dz: Tensor) -> Tensor:
        return products.times_transposed(dz.flatten(0, 1), self._words(k), self.dictionary.f)

    def _times_w(self, k: int, out: Tensor) -> None:
        products.times_dictionary(self.h.flatten(0, 1), self._words(k), out)

    def _words(self, k: int) -> Tensor:
        start, stop = self.bounds[k]
        return self.dictionary.words[:, start:stop]


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
            result += map(TileSums, top, sum_exp, moments, codes[:, 0] + first + start)  # one for each share
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
            grad += tiles.times_transposed_w(k, dz)
        return grad.view_as(tiles.h)
