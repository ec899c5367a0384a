"""CPLearn's objective: invariance between two views plus matching a prior over codes (Eq. 2 and Appendix N)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from cplearn_solo.core.errors import require, require_known
from cplearn_solo.core.precision import at_least_float32, without_autocast
from cplearn_solo.losses.shapes import check_views

PRIOR_LOSSES = ("reverse", "forward")
BOUND_STEPS = 16  # values of b that are tried for the strict bound


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

    ``prior`` is q as ``(c,)``, uniform by default. ``prior_is_checked`` skips the check of its numbers, which would
    make the program wait for a GPU. All computation is in the log domain and at least in float32, also under autocast:
    the logarithm of a mean of saturated probabilities can be -inf, but their log-sum-exp is finite.

    Raises ``InputError`` for logits that do not match, a prior that is not a distribution over the c codes, or an
    unknown ``prior_loss``.
    """
    check_views(z1, z2, "logits", "(n, c)")
    n, c = z1.shape
    require_known("prior_loss", prior_loss, PRIOR_LOSSES)
    if prior is not None and not prior_is_checked:
        check_prior(prior, c, prior_loss)
    with without_autocast(z1):
        log_p1, log_p2 = (torch.log_softmax(at_least_float32(z), dim=1) for z in (z1, z2))
        invariance = -((log_p1.exp() * log_p2).sum() + (log_p2.exp() * log_p1).sum()) / (2 * n)
        log_q = log_p1.new_full((c,), -math.log(c)) if prior is None else prior.to(log_p1).log()
        matching = (_prior_term(log_p1, log_q, prior_loss) + _prior_term(log_p2, log_q, prior_loss)) / 2
        return CPLearnLoss(beta * invariance + matching, invariance, matching)


class Assignments(NamedTuple):
    """Of a batch: ``entropy`` mean_i H(p_i) and ``mean_entropy`` H(mean_i p_i), scalars in nats; the most likely
    ``codes`` ``(n,)``; ``mean`` mean_i p_i ``(c,)``."""

    entropy: Tensor
    mean_entropy: Tensor
    codes: Tensor
    mean: Tensor


@torch.no_grad()
def assignments(z: Tensor) -> Assignments:
    """Entropies, most likely codes and mean assignment of logits ``(n, c)``."""
    log_p = torch.log_softmax(at_least_float32(z), dim=1)
    p = log_p.exp()
    mean = p.mean(dim=0)
    return Assignments(-(p * log_p).sum(dim=1).mean(), torch.special.entr(mean).sum(), z.argmax(dim=1), mean)


def strict_bound(n: int, c: int, *, beta: float, prior: Tensor | None = None, prior_loss: str = "reverse") -> float:
    """A lower bound of :func:`cplearn_loss` that holds for every batch of n samples and c codes, in nats.

    Eq. 3 of the paper assumes p_ij >= eps, which nothing enforces. Without this assumption:

    * forward: H(q), since cross-entropy(q, p) >= H(q) and invariance >= 0.
    * reverse: invariance is at least the mean entropy of p, and the mutual information H(mean p) - mean H(p) of sample
      and code is at most log n. For each b from 0 to min(beta, 1), minimising KL(mean p || q) + b (H(mean p) - log n)
      over mean p gives -(1 - b) log sum_j q_j^(1 / (1 - b)) - b log n, a bound that is concave in b; the largest on a
      grid of b is taken. For uniform q it is min(beta, 1) max(0, log(c / n)), and 0 for every q with H(q) <= log n.
    """
    if prior is not None:
        return strict_bound_of(prior, n, beta=beta, prior_loss=prior_loss).item()
    return math.log(c) if prior_loss == "forward" else max(0.0, min(beta, 1.0) * (math.log(c) - math.log(n)))


def strict_bound_of(prior: Tensor, n: int, *, beta: float, prior_loss: str) -> Tensor:
    """:func:`strict_bound` of a ``prior`` ``(c,)`` that changes in training, as a scalar on its device: nothing waits
    for it."""
    log_q = prior.double().log()
    if prior_loss == "forward":
        return torch.special.entr(prior.double()).sum()
    found = log_q.new_zeros(())
    for share in range(1, BOUND_STEPS + 1):
        b = min(beta, 1.0) * share / BOUND_STEPS
        sharpened = log_q.max() if b == 1 else (1 - b) * torch.logsumexp(log_q / (1 - b), 0)
        found = torch.maximum(found, -sharpened - b * math.log(n))
    return found


def check_prior(prior: Tensor, c: int, prior_loss: str, *, key: str = "prior") -> None:
    """Raises ``InputError`` unless ``prior`` is a distribution over c codes that ``prior_loss`` can use; the error
    names it ``key``."""
    require_known("prior_loss", prior_loss, PRIOR_LOSSES)
    require(prior.shape == (c,), f"shape of {key}", tuple(prior.shape), f"({c},), one probability a code")
    least, total = prior.min().item(), round(prior.double().sum().item(), 6)
    require(least >= 0, f"least entry of {key}", least, "non-negative")
    require(abs(total - 1) <= 1e-4, f"sum of {key}", total, "1")
    possible = prior_loss != "reverse" or least > 0
    require(possible, f"least entry of {key}", least, "above 0 for prior_loss 'reverse', which would be infinite")


def _prior_term(log_p: Tensor, log_q: Tensor, prior_loss: str) -> Tensor:
    """Mismatch of mean assignment and prior, a scalar, from log-probabilities (n, c) and log-prior (c,)."""
    log_mean = torch.logsumexp(log_p, dim=0) - math.log(log_p.shape[0])
    if prior_loss == "reverse":
        return (log_mean.exp() * (log_mean - log_q)).sum()
    q = log_q.exp()
    return -torch.where(q > 0, q * log_mean, 0).sum()
