"""Sums over all codes that make up the softmax of each sample, put together tile by tile ("online softmax")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cplearn_solo.core.cached import cached_tensor
from cplearn_solo.core.distributed import max_ranks, sum_ranks


class TileSums(NamedTuple):
    """Sums over the codes of one tile, relative to the tile's own largest logits.

    ``max_logit``, ``sum_exp`` ``(views, n)``: max z and sum_j exp(z_j - max z). ``sum_exp_logit`` ``(terms, n)``:
    sum_j exp(z_aj - max z_a) (z_bj - max z_b) for each requested pair (a, b) of views. ``codes`` ``(n,)``: the codes of
    the largest logits of the first view.
    """

    max_logit: Tensor
    sum_exp: Tensor
    sum_exp_logit: Tensor
    codes: Tensor


@dataclass(frozen=True)
class SoftmaxSums:
    """The sums of all tiles, for pairs of views ``terms``; in float64, because errors of many tiles would add up.

    ``log_sum_exp`` ``(views, n)`` is log ``sum_exp`` in the dtype of the logits: log p = z - max z - log_sum_exp.
    """

    terms: list[tuple[int, int]]
    max_logit: Tensor
    sum_exp: Tensor
    sum_exp_logit: Tensor
    codes: Tensor
    log_sum_exp: Tensor

    def mean_logit(self, a: int, b: int) -> Tensor:
        """Mean of z_b - max z_b under p_a, ``(n,)``."""
        return self.sum_exp_logit[self.terms.index((a, b))] / self.sum_exp[a]

    def cross_entropy(self, a: int, b: int) -> Tensor:
        """-sum_j p_aj log p_bj, ``(n,)``."""
        return self.sum_exp[b].log() - self.mean_logit(a, b)


def merge(tiles: list[TileSums], terms: list[tuple[int, int]], *, ranks: bool) -> SoftmaxSums:
    """The sums of all tiles; with ``ranks``, also the tiles of other ranks, which hold other codes."""
    tops, sums_exp, sums_exp_logit, codes = (torch.stack(sums) for sums in zip(*tiles))
    top = tops.amax(dim=0)
    top = max_ranks(top) if ranks else top
    # where several codes have the largest logit, the first of them
    codes = torch.where(tops[:, 0] == top[0], codes, torch.iinfo(torch.int64).max).amin(dim=0)
    codes = -max_ranks(-codes) if ranks else codes
    a, b = (cached_tensor(side, dtype=torch.int64, device=top.device) for side in zip(*terms))
    moved = tops.double() - top
    scale = moved.exp()
    sum_exp_logit = (scale[:, a] * (sums_exp_logit + moved[:, b] * sums_exp[:, a])).sum(dim=0)
    sum_exp = (scale * sums_exp).sum(dim=0)
    if ranks:
        sum_exp, sum_exp_logit = sum_ranks(sum_exp), sum_ranks(sum_exp_logit)
    return SoftmaxSums(terms, top, sum_exp, sum_exp_logit, codes, sum_exp.log().to(top))
