"""The sweeps of :mod:`chunked` where what is done to a tile is a Triton kernel or two, for GPUs."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cplearn_solo.core.distributed import max_ranks, sum_ranks
from cplearn_solo.objective.chunked import Sweeps
from cplearn_solo.objective.problem import Problem, Solution
from cplearn_solo.objective.tiles import Tiles
from cplearn_solo.objective.triton import kernels as fused


def triton(h: Tensor, problem: Problem) -> Solution:
    """The objective of embeddings ``(views, n, f)``, in float32 where they are in float64."""
    return FusedSweeps(h.float() if h.dtype == torch.float64 else h, problem, PackedTiles).solve()


class PackedTiles(Tiles):
    """Tiles of W go from bits to the type of products in one step."""

    def _unpack(self, start: int, stop: int) -> Tensor:
        words = self.dictionary.words[:, start:stop]
        rows, width = 32 * len(words), stop - start
        out = self._memory("w", rows, self.h.dtype)[: rows * width].view(rows, width)
        return fused.unpack(words, out)[: self.dictionary.f]


class FusedSweeps(Sweeps):
    """The tiles' part of it never makes the program wait for the GPU."""

    def __init__(self, h: Tensor, problem: Problem, tiles: type[Tiles]) -> None:
        super().__init__(h, problem, tiles)
        self.reverse = problem.prior_loss == "reverse"
        pairs = [[float(b in others) for b in range(len(h))] for others in self.partners]
        self.partner = torch.tensor(pairs, device=h.device)
        self.term_views = torch.tensor(self.terms, device=h.device, dtype=torch.int32)

    @property
    def _log_weight(self) -> Tensor:
        return self.matching.log_weight.flatten(1)

    def _sum(self, k: int, start: int) -> None:
        z = self.tiles.logits(k)
        top, weight, codes = fused.rows(z)
        self.rows.add(top, weight, fused.moments(z, top, self.term_views), codes[0] + start)

    def _match(self, k: int, codes: slice) -> None:
        z, matching = self.tiles.logits(k), self.matching
        most, total = fused.columns(z, self.rows.top, self._log_weight, self.groups[0])
        if self.problem.samples_shared:
            most, part = max_ranks(most), most
            total = sum_ranks(total * (part - most).exp())
        slope = matching.note(codes, most + total.log() - math.log(matching.samples))
        pulls = fused.pulls(z, self.rows.top, self._log_weight, slope, reverse=self.reverse)
        matching.pull += pulls.unflatten(1, self.groups)

    def _differentiate(self, k: int, codes: slice) -> Tensor:
        z, slope = self.tiles.logits(k), self.matching.slope[:, :, codes].contiguous()
        return fused.gradient(
            z, self.rows.top, self._log_weight, slope, self.constant, self.partner,
            beta=self.problem.beta, reverse=self.reverse, out=torch.empty_like(z),
        )  # fmt: skip
