"""The prior's term: how far the mean assignment of all codes is from the prior, and its gradient.

With p ``(n, c)`` of one view, its mean pbar over n samples and g_ij = n dprior / dlog p_ij, the gradient with respect
to logits is (g_ij - p_ij sum_j g_ij) / n, since log p = z - log-sum-exp z.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cplearn_solo.core.distributed import max_ranks, sum_ranks
from cplearn_solo.objective.softmax_sums import SoftmaxSums
from cplearn_solo.objective.spec import LossSpec


class PriorTerm(NamedTuple):
    """The term of each view and group of samples that share a mean assignment.

    ``loss`` and ``mean_entropy``, the entropy of pbar: ``(views, groups)`` in float64. ``mean_assignment``: pbar of the
    first view, averaged over groups, ``(c,)``. ``log_ratio``: log(pbar / q), ``(views, groups, c)``. ``grad_sum``:
    sum_j g_ij, ``(views, n)`` in float64.
    """

    loss: Tensor
    mean_entropy: Tensor
    mean_assignment: Tensor
    log_ratio: Tensor
    grad_sum: Tensor


def prior_term(log_mean: Tensor, grad_sum: Tensor, spec: LossSpec) -> PriorTerm:
    """The :class:`PriorTerm`, summed over all codes, also those of other ranks. ``log_mean``, log pbar
    ``(views, groups, c)``, becomes ``log_ratio`` in place."""
    log_q = spec.log_prior(slice(None), like=log_mean)
    reverse = spec.prior_loss == "reverse"
    mean = log_mean.exp()
    by_code = mean * (log_mean - log_q) if reverse else -log_q.exp() * log_mean
    loss = by_code.sum(dim=2, dtype=torch.float64)
    mean_entropy = -(mean * log_mean).sum(dim=2, dtype=torch.float64)
    if spec.codes_shared:
        loss, mean_entropy, grad_sum = sum_ranks(loss), sum_ranks(mean_entropy), sum_ranks(grad_sum)
    return PriorTerm(loss, mean_entropy, mean[0].mean(dim=0), log_mean.sub_(log_q), grad_sum)


@dataclass(frozen=True)
class TilePrior(ABC):
    """The part of one tile of codes in the prior's term.

    Logits come as ``d`` = z - max z and ``e`` = exp(d), ``(views, groups, samples, width)``, where the samples of a
    group share a mean assignment. ``log_sum_exp``, ``inverse_sum``: logarithm and inverse of the sum of exp(d) over all
    codes, ``(views, groups, samples)``, so that log p = d - log_sum_exp and p = inverse_sum * e.
    """

    spec: LossSpec
    log_sum_exp: Tensor
    inverse_sum: Tensor

    @abstractmethod
    def means(self, codes: slice, d: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        """log pbar of the tile's codes ``(views, groups, width)``, and their part of sum_j g_ij ``(views, groups,
        samples)``; may write to ``d``."""

    @abstractmethod
    def add_gradient(self, t: Tensor, d: Tensor, p: Tensor, log_ratio: Tensor, *, view: int, weight: int) -> None:
        """Changes t_ij to p_ij t_ij + weight g_ij in place. Of one view: ``t``, ``d``, ``p``
        ``(groups, samples, width)`` and ``log_ratio`` ``(groups, width)``."""


class ReversePrior(TilePrior):
    """KL(pbar || q), g_ij = p_ij log(pbar_j / q_j); a code that no sample is near adds nothing."""

    def means(self, codes: slice, d: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        total = torch.bmm(self.inverse_sum.flatten(0, 1)[:, None], e.flatten(0, 1)).unflatten(0, e.shape[:2])[:, :, 0]
        mean = (sum_ranks(total) if self.spec.samples_shared else total) / self.spec.samples
        log_mean = mean.clamp_min(torch.finfo(mean.dtype).tiny).log()
        log_ratio = log_mean - self.spec.log_prior(codes, like=log_mean)
        return log_mean, self.inverse_sum * _products(e, log_ratio)

    def add_gradient(self, t: Tensor, d: Tensor, p: Tensor, log_ratio: Tensor, *, view: int, weight: int) -> None:
        t.add_(log_ratio[:, None], alpha=weight).mul_(p)


class ForwardPrior(TilePrior):
    """Cross-entropy(q, pbar), g_ij = -q_j p_ij / pbar_j; in logarithms, because pbar_j may underflow."""

    def means(self, codes: slice, d: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        d -= self.log_sum_exp[..., None]
        shared = self.spec.samples_shared
        top = max_ranks(d.amax(dim=2)) if shared else d.amax(dim=2)
        total = torch.exp(d.sub_(top[:, :, None]), out=d).sum(dim=2)
        total = sum_ranks(total) if shared else total
        q = self.spec.log_prior(codes, like=total).exp()
        log_mean = top + total.log() - math.log(self.spec.samples)
        return log_mean, -self.spec.samples * _products(d, q / total)

    def add_gradient(self, t: Tensor, d: Tensor, p: Tensor, log_ratio: Tensor, *, view: int, weight: int) -> None:
        minus_g = (d - self.log_sum_exp[view, ..., None]).sub_(log_ratio[:, None]).exp_()
        t.mul_(p).sub_(minus_g, alpha=weight)


def tile_prior(spec: LossSpec, sums: SoftmaxSums, groups: tuple[int, int]) -> TilePrior:
    """The :class:`TilePrior` of ``spec.prior_loss``; ``groups``: their number and the samples per group."""
    form = {"reverse": ReversePrior, "forward": ForwardPrior}[spec.prior_loss]
    inverse_sum = (1 / sums.sum_exp).to(sums.max_logit)
    return form(spec, sums.log_sum_exp.unflatten(1, groups), inverse_sum.unflatten(1, groups))


def _products(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Products of matrices ``(views, groups, samples, width)`` and vectors ``(views, groups, width)``, one by one: a
    batched product is slower."""
    products = [torch.mv(x, y) for x, y in zip(matrices.flatten(0, 1), vectors.flatten(0, 1))]
    return torch.stack(products).unflatten(0, matrices.shape[:2])
