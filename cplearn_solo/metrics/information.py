"""Entropy, divergence and coding rate of matrices (Zhang et al., Matrix-SSL, ICML 2024, Section 2), in nats.

All are differentiable and computed in float32, or in float64 for float64 input. Matrices ``(d, d)`` are symmetric and
positive semi-definite; their trace need not be 1. As in the paper, log 0 := 0 for zero eigenvalues, so directions in
which Q is singular and P is not add nothing: regularise Q as Q + mu I before comparing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cplearn_solo.core.errors import InputError, require
from cplearn_solo.core.matrix import log_exact, log_taylor, trace_log
from cplearn_solo.core.precision import at_least_float32
from cplearn_solo.metrics.checks import check_count, check_finite, check_number

_TOLERANCE = 1e-5  # rounding of a covariance in float32, relative to its largest entry


def matrix_entropy(a: Any) -> Tensor:
    """ME(A) = -tr(A log A) + tr(A), a scalar (Definition 2.1).

    exp(ME(A) - 1) is the effective rank of A where its trace is 1. ``InputError`` as for :func:`matrix_log`.
    """
    a = _check_semidefinite("a", a)
    return a.trace() - (a * log_exact(a)).sum()


def matrix_kl(p: Any, q: Any) -> Tensor:
    """MKL(P || Q) = tr(P log P - P log Q - P + Q), a scalar, at least 0 for a regular Q (Definition 2.2).

    ``InputError`` as for :func:`matrix_log`, and for matrices of two sizes.
    """
    return matrix_cross_entropy(p, q) - matrix_entropy(p)


def matrix_cross_entropy(p: Any, q: Any) -> Tensor:
    """MCE(P, Q) = tr(-P log Q + Q), a scalar, smallest in Q at Q = P (Definition 2.3).

    ``InputError`` as for :func:`matrix_log`, and for matrices of two sizes.
    """
    p, q = _check_semidefinite("p", p), _check_semidefinite("q", q)
    require(q.shape == p.shape, "q.shape", tuple(q.shape), f"that of p, {tuple(p.shape)}")
    return q.trace() - (p * log_exact(q)).sum()


def total_coding_rate(features: Any, *, epsilon: float) -> Tensor:
    """L_TCR = 1/2 log det(I + d / (n epsilon^2) Z^T Z) of features Z ``(n, d)``, a scalar in nats (Eq. 1).

    (n + d) L_TCR is the length of a code for Z up to distortion ``epsilon``. Rows are not normalised; the paper's have
    length 1. With lambda = epsilon^2 / d, MCE(I/d + lambda I, Z^T Z / n + lambda I) is
    (1 + d lambda) (1 - log lambda - (2/d) L_TCR); Theorem 3.1 as printed has + 2 L_TCR in place of -(2/d) L_TCR.

    Raises ``InputError`` for features that are not ``(n, d)`` and finite, or an ``epsilon`` that is not above 0.
    """
    z = _check_matrix("features", features)
    check_number("epsilon", epsilon)
    n, d = z.shape
    gram = z @ z.mT if n < d else z.mT @ z  # both have the same determinant
    return trace_log(d / (n * epsilon**2) * gram, None) / 2


def matrix_log(a: Any, order: int | None = None) -> Tensor:
    """The logarithm of a matrix A ``(d, d)``, exact or by ``order`` terms of its Taylor series around I.

    For the exact logarithm, A must be symmetric and positive semi-definite. The series (Theorem A.1) takes any square A
    with spectral norm ||A - I|| < 1; for A = C + mu I with covariances C of rows of length 1, whose eigenvalues are in
    [0, 1], 0 < mu < 1 suffices.

    Raises ``InputError`` for an A that is not square and finite, not symmetric positive semi-definite (exact) or
    outside the radius of convergence (series), or an order below 1.
    """
    if order is None:
        return log_exact(_check_semidefinite("a", a))
    check_count("order", order)
    x = _check_square("a", a)
    x = x - torch.eye(len(x), dtype=x.dtype, device=x.device)
    norm = torch.linalg.matrix_norm(x.detach(), ord=2).item()
    require(norm < 1, "||a - I||", norm, "below 1, where the Taylor series of the logarithm converges")
    return log_taylor(x, order)


def _check_semidefinite(name: str, values: Any) -> Tensor:
    matrix = _check_square(name, values)
    with torch.no_grad():
        allowed = _TOLERANCE * matrix.abs().max().item()
        difference = (matrix - matrix.mT).abs().max().item()
        require(difference <= allowed, f"|{name} - {name}^T|", difference, f"0, as {name} must be symmetric")
        low = torch.linalg.eigvalsh(matrix)[0].item()
        require(low >= -allowed, f"eigenvalue of {name}", low, f"0 or more, as {name} must be positive semi-definite")
    return matrix


def _check_square(name: str, values: Any) -> Tensor:
    matrix = _check_matrix(name, values)
    rows, columns = matrix.shape
    require(rows == columns, f"{name}.shape", (rows, columns), "(d, d), a square matrix")
    return matrix


def _check_matrix(name: str, values: Any) -> Tensor:
    """A matrix in float32 or better, still attached to its graph."""
    try:
        matrix = at_least_float32(torch.as_tensor(values))
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{name} = {type(values).__name__}: must be a matrix of numbers") from None
    require(matrix.ndim == 2 and matrix.numel() > 0, f"{name}.shape", tuple(matrix.shape), "that of a matrix")
    check_finite(name, matrix)
    return matrix
