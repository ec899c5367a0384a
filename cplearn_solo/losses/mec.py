"""MEC's objective: the coding length of two views' embeddings, as large as possible (Liu et al., NeurIPS 2022)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from cplearn_solo.core.matrix import trace_log
from cplearn_solo.core.precision import at_least_float32, without_autocast
from cplearn_solo.losses.shapes import check_views


class MECLoss(NamedTuple):
    """Scalars: the loss, the mean cosine of the pairs, and ||lambda C||_F; below 1, the series is sure to converge."""

    loss: Tensor
    cosine: Tensor
    taylor_norm: Tensor


def mec_loss(p: Tensor, z: Tensor, *, scale: float, order: int | None = 4) -> MECLoss:
    """-1/(lambda m) tr log(I + lambda C), C = P Z^T, of one direction; average both for the loss of two views.

    ``p``, ``z``: embeddings ``(m, d)`` of teacher and online network, row i of each from the same image; rows are
    scaled to length 1 here. ``scale``: lambda, see :func:`coding_scale`. ``order``: terms of the logarithm's Taylor
    series, which starts with the mean cosine, or ``None`` for log det(I + lambda C) itself.

    The trace is computed from the smaller of P Z^T and Z^T P, which have the same nonzero eigenvalues. The eigenvalues
    of lambda C lie within lambda m of 0: if lambda m < 1, the series converges for every batch, otherwise only if
    embeddings are spread.

    Raises ``InputError`` for embeddings of different shapes.
    """
    check_views(p, z, "embeddings", "(m, d)")
    m, d = p.shape
    with without_autocast(z):
        p, z = (F.normalize(at_least_float32(x), dim=1) for x in (p, z))
        c = scale * (p @ z.mT if m <= d else z.mT @ p)
        return MECLoss(-trace_log(c, order) / (scale * m), (p * z).detach().sum() / m, c.detach().norm())


def coding_scale(m: int, d: int, *, eps: float, warmed_up: float = 1.0) -> float:
    """lambda = d / (m eps) for m embeddings in d dimensions; ``eps`` is the squared distortion of the code (Eq. 2).

    ``warmed_up``: share of the warm-up that has passed, from 0 to 1. During the warm-up, 1/lambda falls linearly from
    eight times its final value, because the Taylor series diverges for embeddings that are not yet spread (released
    code).
    """
    return d / (m * eps * (8 - 7 * warmed_up))
