"""Matrix-SSL's objective: uniformity and alignment of covariance matrices (Zhang et al., ICML 2024).

Features are first L2-normalised, then centred, as in Algorithm 1, so covariances have eigenvalues in [0, 1].
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cplearn_solo.core.errors import require, require_known
from cplearn_solo.core.matrix import log_exact, log_taylor, trace_log
from cplearn_solo.core.precision import at_least_float32, without_autocast
from cplearn_solo.losses.shapes import check_views

DIVERGENCES = ("mce", "mkl")


class MatrixSSLLoss(NamedTuple):
    """``loss = uniformity + gamma * alignment``, and ``taylor_norm``, an upper bound of ||A - I|| for the matrices A in
    its logarithms: below 1, their Taylor series converge."""

    loss: Tensor
    uniformity: Tensor
    alignment: Tensor
    taylor_norm: Tensor


def matrix_ssl_loss(
    p: Tensor,
    z: Tensor,
    *,
    lamb: float = 0.5,
    mu: float = 0.5,
    gamma: float = 1.0,
    order: int | None = 4,
    divergence: str = "mce",
    trace_term: bool = False,
) -> MatrixSSLLoss:
    """Matrix-SSL's loss of one direction; average both directions for the loss of two views.

    ``p``, ``z``: features ``(n, d)`` of teacher and online network, row i of each from the same image. With the
    centred covariances C_ab = A^T B / n - mean(a) mean(b)^T of their L2-normalised rows,

    * uniformity = -lambda tr log(C_pz + mu I) (Eq. 12; its trace cancels the one of Eq. 13);
    * alignment = -tr(P log Q) with P = C_pp + mu I, Q = C_zz + mu I for ``"mce"`` (Eq. 13), or
      tr(P log P) - tr(P log Q) for ``"mkl"`` (Eq. 18). ``trace_term`` adds the rest of the definitions of matrix
      cross-entropy and divergence, + tr Q and + tr Q - tr P, which the released code leaves out.

    Both divergences have the same gradient if and only if P gets no gradient: pass the teacher first.

    ``lamb``: lambda, 1/d in the paper and 0.5 in the released code. ``order``: terms of the logarithm's Taylor series
    around I, or ``None`` for the exact logarithm, which needs an eigendecomposition. tr log(C_pz + mu I) is then log
    det(C_pz + mu I); it is NaN if the determinant is negative, which embeddings of opposite sign can cause for mu < 1.

    Raises ``InputError`` for features of different shapes and in the cases of :func:`check_matrix_ssl`.
    """
    check_views(p, z, "features", "(n, d)")
    check_matrix_ssl(mu=mu, order=order, divergence=divergence)
    with without_autocast(z):
        p, z = (F.normalize(at_least_float32(x), dim=1) for x in (p, z))
        p, z = (x - x.mean(dim=0) for x in (p, z))
        identity = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
        covariances = torch.stack([p.mT @ z, p.mT @ p, z.mT @ z]) / len(z)
        a_cross, a_p, a_z = covariances + mu * identity

        def log(a: Tensor) -> Tensor:
            return log_exact(a) if order is None else log_taylor(a - identity, order)

        uniformity = -lamb * trace_log(a_cross - identity, order)
        alignment = -(a_p * log(a_z)).sum()
        if trace_term:
            alignment = alignment + a_z.diagonal().sum()
        if divergence == "mkl":
            alignment = alignment + (a_p * log(a_p)).sum() - (a_p.diagonal().sum() if trace_term else 0)
        norm = abs(mu - 1) + covariances.detach().flatten(1).norm(dim=1).max()
        return MatrixSSLLoss(uniformity + gamma * alignment, uniformity, alignment, norm)


def check_matrix_ssl(*, mu: float, order: int | None, divergence: str) -> None:
    """Raises ``InputError`` for an unknown divergence, an order below 1, or a mu that the logarithm cannot take.

    Eigenvalues of C_zz + mu I lie in [mu, 1 + mu]: the Taylor series around I (Theorem A.1, ||A - I|| < 1) converges on
    all of them for 0 < mu < 1, and at mu = 1 unless all features share one line; the exact logarithm needs mu > 0. This
    holds for every batch. The eigenvalues of C_pz can be anywhere within 1 of 0: for it, the series is sure to converge
    only if ||C_pz|| < mu; ``taylor_norm`` of the loss reports this.
    """
    require_known("divergence", divergence, DIVERGENCES)
    if order is None:
        require(mu > 0, "mu", mu, "above 0, for the exact log(C + mu I) of a covariance C")
        return
    require(order >= 1, "order", order, "at least 1 term of the Taylor series, or none for the exact logarithm")
    require(0 < mu <= 1, "mu", mu, "such that the Taylor series of log(C + mu I) converges: above 0 and at most 1")
