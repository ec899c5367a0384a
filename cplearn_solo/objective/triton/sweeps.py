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
    """The objective of embeddings ``(views, n, f)``; float64 is computed in float32."""
    with torch.cuda.device_of(h):  # Triton launches on the current device
        return TritonSweeps(h.float() if h.dtype == torch.float64 else h, spec).run()


class TritonTiles(Tiles):
    """One kernel unpacks a tile of W from its bits, and products use terms in half precision."""

    def __init__(self, h: Tensor, spec: LossSpec) -> None:
        super().__init__(h, spec.dictionary, spec.temperature, kept_bytes=spec.kept_bytes)
        self.precision = products.Precision(self.h.dtype)
        self._split_h = self.precision.split(self.h.flatten(0, 1))

    def times_transposed_w(self, k: int, dz: Tensor) -> Tensor:
        """The terms ``dz`` ``(terms, views, n, width)`` of the k-th tile times the tile's transposed W:
        ``(views * n, f)``."""
        parts = self.h.new_empty(dz.shape[:3].numel(), f := self.dictionary.f, dtype=self.dtype)
        products.product(dz.flatten(0, 2), self._w(k)[:f].T, out=parts)
        return parts.unflatten(0, (len(dz), -1)).sum(dim=0)

    def terms(self, k: int) -> Tensor:
        """Memory for the terms that are multiplied with the k-th tile's transposed W."""
        terms, views = self.precision.terms, len(self.h)
        memory = self._memory("terms", terms * self.h.shape[:2].numel(), self.precision.half)
        return self._shaped(memory, k, terms * views).unflatten(0, (terms, views))

    def _times_w(self, k: int, out: Tensor) -> None:
        products.product(self._split_h, self._w(k), out=out)

    def _w(self, k: int) -> Tensor:
        """The k-th tile of W, once for each term: ``(terms * f, width)``; valid until another is requested."""
        if self._unpacked is None or self._unpacked[0] != k:
            start, stop = self.bounds[k]
            rows = self._split_h.shape[1]
            memory = self._memory("w", rows, self.precision.half)[: rows * (stop - start)].view(rows, -1)
            self._unpacked = (k, products.entries(self.dictionary.words[:, start:stop], self.dictionary.f, memory))
        return self._unpacked[1]


class TritonSweeps(Sweeps):
    """Each sweep is a loop over tiles of codes; no operation in a loop makes the program wait for the GPU."""

    def __init__(self, h: Tensor, spec: LossSpec) -> None:
        super().__init__(h, spec)
        self.reverse = spec.prior_loss == "reverse"
        self.terms_on_device = cached_tensor(tuple(self.terms), dtype=torch.int32, device=h.device)
        paired = tuple(tuple(b in others for b in range(len(h))) for others in self.partners)
        self.paired = cached_tensor(paired, dtype=torch.float32, device=h.device)
        self.tiles = TritonTiles(h, spec)

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
            dz = kernels.gradient(
                tiles.logits(k), sums.max_logit, sums.log_sum_exp, log_ratio[:, :, start:stop].contiguous(), constant,
                self.paired, beta=beta, reverse=self.reverse, out=tiles.terms(k),
            )  # fmt: skip
            grad += tiles.times_transposed_w(k, dz)
        return grad.view_as(tiles.h)
