"""What the invariance term needs of each row of logits: sums over all codes, gathered tile by tile."""

from __future__ import annotations

import torch
from torch import Tensor

from cplearn_solo.core.distributed import max_ranks, sum_ranks


class Rows:
    """Sums over codes of exp(z - max z) and of its products with logits, for each sample of each view.

    ``terms``: pairs (a, b) of views for which sum_j exp(z_aj - max z_a) (z_bj - max z_b) is wanted. Tiles are added
    with maxima of their own. :meth:`merge` leaves ``top``, the maxima ``(views, n)``; in float64, as errors of many
    tiles would add up, ``weight``, sum_j exp(z_j - top), and ``moment`` ``(terms, n)``; and ``codes`` ``(n,)``, those
    of the maxima of the first view.
    """

    def __init__(self, terms: list[tuple[int, int]]) -> None:
        self.terms = terms
        self._tiles: list[tuple[Tensor, ...]] = []

    def add(self, top: Tensor, weight: Tensor, moment: Tensor, codes: Tensor) -> None:
        """Takes in a tile's sums relative to its own maxima ``top``, and their codes."""
        self._tiles.append((top, weight, moment, codes))

    def merge(self, *, ranks: bool) -> None:
        """Puts all tiles together; with ``ranks`` those of other ranks, which have seen other codes, as well."""
        tops, weights, moments, codes = (torch.stack(sums) for sums in zip(*self._tiles))
        self._tiles.clear()
        top = tops.amax(dim=0)
        self.top = top = max_ranks(top) if ranks else top
        # of equals the first code
        codes = torch.where(tops[:, 0] == top[0], codes, torch.iinfo(torch.int64).max).amin(dim=0)
        self.codes = -max_ranks(-codes) if ranks else codes
        a, b = (torch.tensor(side, device=top.device) for side in zip(*self.terms))
        moved = tops.double() - top
        scale = moved.exp()
        moment = (scale[:, a] * (moments + moved[:, b] * weights[:, a])).sum(dim=0)
        weight = (scale * weights).sum(dim=0)
        self.weight, self.moment = (sum_ranks(weight), sum_ranks(moment)) if ranks else (weight, moment)

    def mean(self, a: int, b: int) -> Tensor:
        """Mean of z_b - max z_b under p_a, ``(n,)``."""
        return self.moment[self.terms.index((a, b))] / self.weight[a]

    def cross_entropy(self, a: int, b: int) -> Tensor:
        """-sum_j p_a log p_b, ``(n,)``."""
        return self.weight[b].log() - self.mean(a, b)
