"""Matrix-SSL's loss for language models: cross-entropy plus matrix cross-entropy (Zhang et al., ICML 2024, Eq. 16)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cplearn_solo.core.errors import require
from cplearn_solo.core.matrix import log_coefficient, log_exact
from cplearn_solo.core.precision import at_least_float32, without_autocast


class LanguageModelLoss(NamedTuple):
    """``loss = cross_entropy + matrix_cross_entropy``, scalars in nats per token."""

    loss: Tensor
    cross_entropy: Tensor
    matrix_cross_entropy: Tensor


def language_model_loss(
    logits: Tensor, targets: Tensor, embeddings: Tensor, *, mu: float = 1e-5, order: int | None = None
) -> LanguageModelLoss:
    """Eq. 16: predicting a token similar to the right one costs less than predicting any other.

    ``logits``: ``(K, v)`` for K tokens and a vocabulary of v. ``targets``: tokens ``(K,)``, from 0 to v - 1.
    ``embeddings``: ``(v, d)``, a vector e_i for each token of the vocabulary, such as the weight of the head; they are
    L2-normalised here. With q = softmax(logits), P = e_t e_t^T of the target t and Q = sum_j q_j e_j e_j^T,

        loss = mean over tokens of -log q_t - tr(P log(Q + mu I)).

    ``order``: terms of the logarithm's Taylor series around I. ``None``, the exact logarithm, needs K matrices
    ``(d, d)`` and their eigendecompositions, which suits small heads. The series needs only products with vectors, in
    the time and memory of the logits, but is bounded where Q is small, for every mu: with four terms, the second term
    of the loss is at most 2.1.

    The paper leaves some choices open. They are made here as follows:

    * mu I is added to Q, which Eq. 16 does not do; mu = 0 is exactly Eq. 16. Q has at most rank v and is numerically
      singular where the model is certain. Without mu I, the loss of a wrong token predicted with certainty would be
      infinite, or zero under the paper's log 0 := 0.
    * The target's matrix P is the first argument. tr(Q) = 1 is left out, as in the second line of Eq. 16; the two terms
      have equal weight.
    * The sum over tokens is a mean here, so that a learning rate does not depend on the length of the text.
    * Gradients reach the embeddings through P and Q. Equal embeddings would make the second term 0: to train a head,
      pass ``embeddings.detach()``.

    Raises ``InputError`` for shapes that do not fit, or a mu outside the series' radius of convergence: Q + mu I has
    eigenvalues in [mu, 1 + mu], for which 0 < mu <= 1 is enough.
    """
    _check(logits, targets, embeddings, mu, order)
    with without_autocast(logits):
        log_q = torch.log_softmax(at_least_float32(logits), dim=1)
        q, e = log_q.exp(), F.normalize(embeddings.to(log_q.dtype), dim=1)
        cross_entropy = F.nll_loss(log_q, targets)
        log_quadratic = _exact if order is None else _taylor
        matrix_cross_entropy = -log_quadratic(q, e, e[targets], mu, order).mean()
        return LanguageModelLoss(cross_entropy + matrix_cross_entropy, cross_entropy, matrix_cross_entropy)


def _exact(q: Tensor, e: Tensor, target: Tensor, mu: float, order: None) -> Tensor:
    """e_t^T log(Q + mu I) e_t of each token, ``(K,)``."""
    matrices = e.mT @ (q.unsqueeze(-1) * e) + mu * torch.eye(e.shape[1], dtype=e.dtype, device=e.device)
    return torch.einsum("ka,kab,kb->k", target, log_exact(matrices), target)


def _taylor(q: Tensor, e: Tensor, target: Tensor, mu: float, order: int) -> Tensor:
    """The same by the Taylor series, from e_t^T (Q + mu I - I)^k e_t, without forming Q."""
    power, total = target, 0
    for k in range(1, order + 1):
        power = (q * (power @ e.mT)) @ e + (mu - 1) * power
        total = total + log_coefficient(k) * (target * power).sum(dim=1)
    return total


def _check(logits: Tensor, targets: Tensor, embeddings: Tensor, mu: float, order: int | None) -> None:
    shapes = tuple(logits.shape), tuple(targets.shape)
    fitting = logits.ndim == 2 and targets.shape == logits.shape[:1]
    require(fitting, "shapes of logits and targets", shapes, "(tokens, vocabulary) and (tokens,)")
    fitting = embeddings.ndim == 2 and len(embeddings) == logits.shape[1]
    require(fitting, "shape of embeddings", tuple(embeddings.shape), f"({logits.shape[1]}, d), one row a token")
    if order is None:
        require(mu >= 0, "mu", mu, "at least 0")
        return
    require(order >= 1, "order", order, "at least 1 term of the Taylor series, or none for the exact logarithm")
    require(0 < mu <= 1, "mu", mu, "such that the Taylor series of log(Q + mu I) converges: above 0 and at most 1")
