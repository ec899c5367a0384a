"""What is summed over codes for each sample, one tile of logits after the other."""

from __future__ import annotations

import torch
from torch import Tensor

from cplearn_solo.distributed import max_ranks, sum_ranks


class Rows:
    """Of each sample, its largest logit and code, sum_j e_j with e = exp(z - max z), and sums of e times logits.

    ``terms``: pairs (a, b) of views for which sum_j e_j (z_j - max z) is wanted with e of view a and z of view b. Sums
    over tiles are in float64: there are few of them, and errors of many tiles would add up.
    """

    def __init__(self, h: Tensor, terms: list[tuple[int, int]], dtype: torch.dtype) -> None:
        views, n, _ = h.shape
        self.terms = terms
        self.top = h.new_full((views, n), torch.finfo(dtype).min, dtype=dtype)
        self.weight = h.new_zeros((views, n), dtype=torch.float64)
        self.moment = h.new_zeros((len(terms), n), dtype=torch.float64)
        self.codes = h.new_zeros(n, dtype=torch.int64)  # of the first view
        self._a, self._b = (torch.tensor(side, device=h.device) for side in zip(*terms))

    def see(self, z: Tensor, start: int) -> None:
        """Takes in the maxima of logits ``(views, n, width)`` of codes from ``start`` on."""
        top = z.amax(dim=2).to(self.top.dtype)
        (higher,) = (top[0] > self.top[0]).nonzero(as_tuple=True)
        if len(higher):
            self.codes[higher] = z[0, higher].argmax(dim=1) + start
        self.raise_to(torch.maximum(top, self.top))

    def raise_to(self, top: Tensor) -> None:
        """Rescales the sums to another maximum."""
        self.weight, self.moment = self._rescaled(self.weight, self.moment, self.top.double() - top)
        self.top = top

    def take(self, top: Tensor, weight: Tensor, moment: Tensor, codes: Tensor) -> None:
        """Adds the sums of a tile, relative to its own maxima, and its codes."""
        self.codes = torch.where(top[0] > self.top[0], codes, self.codes)
        self.raise_to(torch.maximum(top, self.top))
        weight, moment = self._rescaled(weight.double(), moment.double(), top.double() - self.top)
        self.weight, self.moment = self.weight + weight, self.moment + moment

    def add(self, d: Tensor, e: Tensor, work: Tensor) -> None:
        """Takes in ``d`` = z - max z and ``e`` = exp(d), ``(views, n, width)``; writes to ``work`` ``(n, width)``."""
        self.weight += e.sum(dim=2)
        for (a, b), moment in zip(self.terms, self.moment):
            moment += torch.mul(e[a], d[b], out=work).sum(dim=1)

    def _rescaled(self, weight: Tensor, moment: Tensor, moved: Tensor) -> tuple[Tensor, Tensor]:
        scale = moved.exp()
        return weight * scale, scale[self._a] * (moment + moved[self._b] * weight[self._a])

    def merge(self) -> None:
        """Adds what other ranks have seen of other codes; ranks hold equal shares of them, in rank order."""
        top = max_ranks(self.top)
        # of equals the first code, as on one rank
        codes = torch.where(self.top[0] == top[0], self.codes, torch.iinfo(torch.int64).max)
        self.codes = -max_ranks(-codes)
        self.raise_to(top)
        self.weight, self.moment = sum_ranks(self.weight), sum_ranks(self.moment)

    def mean(self, a: int, b: int) -> Tensor:
        """Mean of z_b - max z_b under p_a, ``(n,)``."""
        return self.moment[self.terms.index((a, b))] / self.weight[a]

    def cross_entropy(self, a: int, b: int) -> Tensor:
        """-sum_j p_a log p_b, ``(n,)``."""
        return self.weight[b].log() - self.mean(a, b)
