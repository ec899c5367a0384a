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

from cplearn_solo.core.distributed import max_ranks, sum_ranks
from cplearn_solo.objective.problem import Problem
from cplearn_solo.objective.rows import Rows


class Matching(ABC):
    """Mean assignments of all codes, and sums over them, of ``rows`` that are complete.

    Once every tile was seen, :meth:`finish` leaves ``slope``, log(pbar / q) ``(views, groups, c)``, and in float64
    ``loss`` and ``mean_entropy`` ``(views, groups)`` and ``pull``, sum_j v_ij ``(views, groups, samples)``.
    """

    def __init__(self, rows: Rows, problem: Problem) -> None:
        self.problem, self.samples, like = problem, problem.samples, rows.top
        weight = rows.weight.unflatten(1, (-1, min(self.samples, rows.weight.shape[1])))
        self.log_weight = weight.log().to(like)[..., None]
        self.share = (1 / weight).to(like)  # p = share * e
        self.pull = torch.zeros_like(weight)
        self.log_mean = like.new_empty(*weight.shape[:2], problem.dictionary.c)

    def note(self, codes: slice, log_mean: Tensor) -> Tensor:
        """Keeps log pbar of some codes, ``(views, groups, width)``; their log(pbar / q)."""
        self.log_mean[:, :, codes] = log_mean
        return log_mean - self.problem.log_prior(codes, like=log_mean)

    def finish(self) -> None:
        """Sums over all codes, of other ranks as well."""
        log_q, log_mean = self.problem.log_prior(slice(None), like=self.log_mean), self.log_mean
        self.loss = self.mismatch(log_mean, log_q).sum(dim=2, dtype=torch.float64)
        self.mean_entropy = -(log_mean.exp() * log_mean).sum(dim=2, dtype=torch.float64)
        if self.problem.codes_shared:
            self.loss, self.mean_entropy, self.pull = map(sum_ranks, (self.loss, self.mean_entropy, self.pull))
        self.slope = log_mean.sub_(log_q)
        del self.log_mean

    @abstractmethod
    def mismatch(self, log_mean: Tensor, log_q: Tensor) -> Tensor:
        """The prior's term by codes, of log pbar ``(views, groups, c)``."""

    @abstractmethod
    def see(self, codes: slice, d: Tensor, e: Tensor) -> None:
        """Takes in a tile; may write to ``d``."""

    @abstractmethod
    def differentiate(self, t: Tensor, d: Tensor, p: Tensor, *, view: int, codes: slice, weight: int) -> None:
        """From t_ij to p_ij t_ij + weight v_ij, in place; ``t``, ``d``, ``p`` ``(groups, samples, width)``."""


class Reverse(Matching):
    """KL(pbar || q), v_ij = p_ij log(pbar_j / q_j); a code that no sample comes near has no part in it."""

    def mismatch(self, log_mean: Tensor, log_q: Tensor) -> Tensor:
        return log_mean.exp() * (log_mean - log_q)

    def see(self, codes: slice, d: Tensor, e: Tensor) -> None:
        total = torch.bmm(self.share.flatten(0, 1)[:, None], e.flatten(0, 1)).unflatten(0, e.shape[:2])[:, :, 0]
        mean = (sum_ranks(total) if self.problem.samples_shared else total) / self.samples
        slope = self.note(codes, mean.clamp_min(torch.finfo(mean.dtype).tiny).log())
        self.pull += self.share * _each(torch.mv, e, slope)

    def differentiate(self, t: Tensor, d: Tensor, p: Tensor, *, view: int, codes: slice, weight: int) -> None:
        t.add_(self.slope[view, :, None, codes], alpha=weight).mul_(p)


class Forward(Matching):
    """Cross-entropy(q, pbar), v_ij = -q_j p_ij / pbar_j; in logarithms, since pbar_j may be too small for a number."""

    def mismatch(self, log_mean: Tensor, log_q: Tensor) -> Tensor:
        return -log_q.exp() * log_mean

    def see(self, codes: slice, d: Tensor, e: Tensor) -> None:
        d -= self.log_weight
        shared = self.problem.samples_shared
        top = max_ranks(d.amax(dim=2)) if shared else d.amax(dim=2)
        total = torch.exp(d.sub_(top[:, :, None]), out=d).sum(dim=2)
        total = sum_ranks(total) if shared else total
        self.note(codes, top + total.log() - math.log(self.samples))
        q = self.problem.log_prior(codes, like=total).exp()
        self.pull -= self.samples * _each(torch.mv, d, q / total)

    def differentiate(self, t: Tensor, d: Tensor, p: Tensor, *, view: int, codes: slice, weight: int) -> None:
        pull = (d - self.log_weight[view]).sub_(self.slope[view, :, None, codes]).exp_()  # q_j p_ij / pbar_j
        t.mul_(p).sub_(pull, alpha=weight)


def _each(product: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """``product`` of the matrices ``x`` ``(views, groups, samples, width)`` with vectors; batched ones are slower."""
    products = [product(*pair) for pair in zip(x.flatten(0, 1), y.flatten(0, 1))]
    return torch.stack(products).unflatten(0, x.shape[:2])
