"""The prior's term: the mean assignment of each code, and what its loss tells each logit.

With p ``(n, c)`` of one view, its mean pbar over n samples and v_ij = n dprior / dlog p_ij, the gradient by logits is
(v_ij - p_ij sum_j v_ij) / n, since log p = z - log-sum-exp z. Logits come as ``d`` = z - max z and ``e`` = exp(d),
``(views, groups, samples, width)``: the samples of a group share a mean assignment.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from cplearn_solo.distributed import max_ranks, sum_ranks
from cplearn_solo.kernels.rows import Rows


class Matching(ABC):
    """Sums over tiles of codes, of ``rows`` that are complete.

    ``samples``: the size of a group; ``shared``: every rank has a part of one.
    """

    def __init__(self, rows: Rows, c: int, samples: int, *, shared: bool) -> None:
        self.samples, self.shared = samples, shared
        weight = rows.weight.unflatten(1, (-1, min(samples, rows.weight.shape[1])))
        self.log_weight = weight.log().to(rows.top.dtype)[..., None]
        self.share = (1 / weight).to(rows.top.dtype)  # p = share * e
        self.loss = weight.new_zeros(weight.shape[:2])
        self.mean_entropy = weight.new_zeros(weight.shape[:2])
        self.pull = torch.zeros_like(weight)  # sum_j v_ij
        self.slope = rows.top.new_empty(*weight.shape[:2], c)  # log(pbar / q)

    def merge(self) -> None:
        """Adds what other ranks have seen of other codes."""
        for name in ("loss", "mean_entropy", "pull"):
            setattr(self, name, sum_ranks(getattr(self, name)))

    def note(self, codes: slice, mean: Tensor, log_mean: Tensor, log_q: Tensor) -> Tensor:
        """Adds the mean assignments ``(views, groups, width)`` of some codes; their log(pbar / q)."""
        slope = log_mean - log_q
        self.slope[:, :, codes] = slope
        self.loss += self.mismatch(mean, log_mean, log_q)
        self.mean_entropy -= (mean * log_mean).sum(dim=2)
        return slope

    @abstractmethod
    def mismatch(self, mean: Tensor, log_mean: Tensor, log_q: Tensor) -> Tensor:
        """The prior's term of these codes, ``(views, groups)``."""

    @abstractmethod
    def see(self, codes: slice, d: Tensor, e: Tensor, log_q: Tensor) -> None:
        """Takes in a tile with log q ``(width,)``; may write to ``d``."""

    @abstractmethod
    def differentiate(self, t: Tensor, d: Tensor, p: Tensor, *, view: int, codes: slice, weight: int) -> None:
        """From t_ij to p_ij t_ij + weight v_ij, in place; ``t``, ``d``, ``p`` ``(groups, samples, width)``."""


class Reverse(Matching):
    """KL(pbar || q), v_ij = p_ij log(pbar_j / q_j); a code that no sample comes near has no part in it."""

    def mismatch(self, mean: Tensor, log_mean: Tensor, log_q: Tensor) -> Tensor:
        return (mean * (log_mean - log_q)).sum(dim=2)

    def see(self, codes: slice, d: Tensor, e: Tensor, log_q: Tensor) -> None:
        total = _each(lambda e, share: share @ e, e, self.share)
        mean = (sum_ranks(total) if self.shared else total) / self.samples
        log_mean = mean.clamp_min(torch.finfo(mean.dtype).tiny).log()
        slope = self.note(codes, mean, log_mean, log_q)
        self.pull += self.share * _each(torch.mv, e, slope)

    def differentiate(self, t: Tensor, d: Tensor, p: Tensor, *, view: int, codes: slice, weight: int) -> None:
        t.add_(self.slope[view, :, None, codes], alpha=weight).mul_(p)


class Forward(Matching):
    """Cross-entropy(q, pbar), v_ij = -q_j p_ij / pbar_j; in logarithms, since pbar_j may be too small for a number."""

    def mismatch(self, mean: Tensor, log_mean: Tensor, log_q: Tensor) -> Tensor:
        q = log_q.exp()
        return -torch.where(q > 0, q * log_mean, 0).sum(dim=2)

    def see(self, codes: slice, d: Tensor, e: Tensor, log_q: Tensor) -> None:
        d -= self.log_weight
        top = max_ranks(d.amax(dim=2)) if self.shared else d.amax(dim=2)
        total = torch.exp(d.sub_(top[:, :, None]), out=d).sum(dim=2)
        total = sum_ranks(total) if self.shared else total
        log_mean = top + total.log() - math.log(self.samples)
        self.note(codes, log_mean.exp(), log_mean, log_q)
        self.pull -= self.samples * _each(torch.mv, d, log_q.exp() / total)

    def differentiate(self, t: Tensor, d: Tensor, p: Tensor, *, view: int, codes: slice, weight: int) -> None:
        pull = (d - self.log_weight[view]).sub_(self.slope[view, :, None, codes]).exp_()  # q_j p_ij / pbar_j
        t.mul_(p).sub_(pull, alpha=weight)


def _each(product: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """``product`` of the matrices ``x`` ``(views, groups, samples, width)`` with vectors; batched ones are slower."""
    return torch.stack([torch.stack([product(*pair) for pair in zip(*view)]) for view in zip(x, y)])
