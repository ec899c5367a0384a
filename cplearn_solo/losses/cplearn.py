"""CPLearn's objective: invariance between two views plus matching a prior over codes (Eq. 2 and Appendix N)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from cplearn_solo.core.errors import require, unknown
from cplearn_solo.core.precision import at_least_float32, without_autocast
from cplearn_solo.losses.shapes import check_views

PRIOR_LOSSES = ("reverse", "forward")


class CPLearnLoss(NamedTuple):
    """``loss = beta * invariance + prior``, scalars in nats."""

    loss: Tensor
    invariance: Tensor
    prior: Tensor


def cplearn_loss(
    z1: Tensor,
    z2: Tensor,
    *,
    beta: float | Tensor,
    prior: Tensor | None = None,
    prior_loss: str = "reverse",
    prior_is_checked: bool = False,
) -> CPLearnLoss:
    """CPLearn's loss of two views, symmetrised (the mean of both directions).

    ``z1``, ``z2``: logits ``(n, c)``, row i of each from the same image; with p = softmax(z),

    * invariance = cross-entropy(p, p') averaged over samples (first term of Eq. 2);
    * prior = cross-entropy(q, mean_i p_i) for ``"forward"`` (second term of Eq. 2), or
      KL(mean_i p_i || q) for ``"reverse"`` (Appendix N), which stays finite when codes are unused.

    ``prior`` is q as ``(c,)``, uniform by default. With ``prior_is_checked``, its numbers are not looked at again, for
    which the program would wait for a GPU. Everything happens in the log domain and in at least float32, also
    under autocast: the logarithm of a mean of saturated probabilities would be -inf, their log-sum-exp is finite.

    Raises ``InputError`` for logits that do not match, a prior that is no distribution over the c codes, or an unknown
    ``prior_loss``.
    """
    check_views(z1, z2, "logits", "(n, c)")
    n, c = z1.shape
    if prior_loss not in PRIOR_LOSSES:
        raise unknown("prior_loss", prior_loss, PRIOR_LOSSES)
    if prior is not None and not prior_is_checked:
        check_prior(prior, c, prior_loss)
    with without_autocast(z1):
        log_p1, log_p2 = (torch.log_softmax(at_least_float32(z), dim=1) for z in (z1, z2))
        invariance = -((log_p1.exp() * log_p2).sum() + (log_p2.exp() * log_p1).sum()) / (2 * n)
        log_q = log_p1.new_full((c,), -math.log(c)) if prior is None else prior.to(log_p1).log()
        matching = (_prior_term(log_p1, log_q, prior_loss) + _prior_term(log_p2, log_q, prior_loss)) / 2
        return CPLearnLoss(beta * invariance + matching, invariance, matching)


class Assignments(NamedTuple):
    """Of a batch: ``entropy``, the mean of H(p_i), ``mean_entropy`` H(mean_i p_i), in nats, ``codes`` ``(n,)``."""

    entropy: Tensor
    mean_entropy: Tensor
    codes: Tensor


@torch.no_grad()
def assignments(z: Tensor) -> Assignments:
    """Entropies and most likely codes of logits ``(n, c)``."""
    log_p = torch.log_softmax(at_least_float32(z), dim=1)
    p = log_p.exp()
    return Assignments(-(p * log_p).sum(dim=1).mean(), torch.special.entr(p.mean(dim=0)).sum(), z.argmax(dim=1))


def strict_bound(n: int, c: int, *, beta: float, prior: Tensor | None = None, prior_loss: str = "reverse") -> float:
    """A lower bound of :func:`cplearn_loss` that holds for every batch of n samples and c codes, in nats.

    Eq. 3 of the paper assumes p_ij >= eps, which nothing enforces. What holds without it:

    * forward: H(q), since cross-entropy(q, p) >= H(q) and invariance >= 0.
    * reverse: invariance is at least the mean entropy of p, and the mutual information H(mean p) - mean H(p) of sample
      and code is at most log n. With b = min(beta, 1), minimising KL(mean p || q) + b (H(mean p) - log n) over mean p
      gives max(0, -(1 - b) log sum_j q_j^(1 / (1 - b)) - b log n): for uniform q, b max(0, log(c / n)).
    """
    log_q = torch.full((c,), -math.log(c), dtype=torch.float64) if prior is None else prior.double().log()
    if prior_loss == "forward":
        return -torch.special.xlogy(log_q.exp(), log_q.exp()).sum().item()
    b = min(beta, 1.0)
    sharpened = log_q.max() if b == 1 else (1 - b) * torch.logsumexp(log_q / (1 - b), 0)
    return max(0.0, -sharpened.item() - b * math.log(n))


def check_prior(prior: Tensor, c: int, prior_loss: str) -> None:
    """Raises ``InputError`` unless ``prior`` is a distribution over c codes that ``prior_loss`` can use."""
    if prior_loss not in PRIOR_LOSSES:
        raise unknown("prior_loss", prior_loss, PRIOR_LOSSES)
    require(prior.shape == (c,), "shape of prior", tuple(prior.shape), f"({c},), one probability a code")
    least, total = prior.min().item(), round(prior.double().sum().item(), 6)
    require(least >= 0, "least entry of prior", least, "non-negative")
    require(abs(total - 1) <= 1e-4, "sum of prior", total, "1")
    possible = prior_loss != "reverse" or least > 0
    require(possible, "least entry of prior", least, "above 0 for prior_loss 'reverse', which would be infinite")


def _prior_term(log_p: Tensor, log_q: Tensor, prior_loss: str) -> Tensor:
    """Mismatch of mean assignment and prior, a scalar, of log-probabilities (n, c) and log-prior (c,)."""
    log_mean = torch.logsumexp(log_p, dim=0) - math.log(log_p.shape[0])
    if prior_loss == "reverse":
        return (log_mean.exp() * (log_mean - log_q)).sum()
    q = log_q.exp()
    return -torch.where(q > 0, q * log_mean, 0).sum()
