"""Logarithms of matrices, exact and as Taylor polynomials, from which losses and metrics are built.

Nothing is checked here, since reading a value makes the program wait for the GPU; ``metrics.matrix_log`` checks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def log_exact(a: Tensor) -> Tensor:
    """log A of symmetric positive semi-definite matrices ``(..., d, d)``, with log 0 := 0 for zero eigenvalues.

    Differentiable also if eigenvalues coincide, as many do in a regularised covariance: it never uses derivatives of
    single eigenvectors, which do not exist there.
    """
    return _LogExact.apply(a)


def log_taylor(x: Tensor, order: int) -> Tensor:
    """log(I + X) of any square matrices ``(..., d, d)`` by the first ``order`` terms of its Taylor series,
    X - X^2/2 + X^3/3 - ..., which converges for ||X|| < 1 (Matrix-SSL, Theorem A.1)."""
    series = log_coefficient(order) * x
    for k in reversed(range(1, order)):
        series = log_coefficient(k) * x + x @ series
    return series


def trace_log(x: Tensor, order: int | None) -> Tensor:
    """tr log(I + X) of a square matrix ``(d, d)``, which need not be symmetric, to a scalar.

    ``order``: terms of the Taylor series. ``None``: exact, as log det(I + X), NaN if the determinant is negative, as no
    real logarithm exists then.
    """
    if order is None:
        return torch.logdet(x + torch.eye(len(x), dtype=x.dtype, device=x.device))
    powers = [x]  # tr X^k is computed from two powers with half the exponent: order 4 costs one matrix product
    while 2 * len(powers) < order:
        powers.append(powers[-1] @ x)
    total = x.diagonal().sum()  # the gradient of trace() makes the program wait for the GPU
    for k in range(2, order + 1):
        total = total + log_coefficient(k) * (powers[k // 2 - 1] * powers[(k + 1) // 2 - 1].mT).sum()
    return total


def log_coefficient(k: int) -> float:
    """The coefficient of x^k in the Taylor series of log(1 + x)."""
    return (-1) ** (k + 1) / k


class _LogExact(torch.autograd.Function):
    """By eigenvalues; the gradient, by Daleckii and Krein's formula, uses differences of logarithms."""

    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(a)
        noise = a.shape[-1] * torch.finfo(a.dtype).eps * values[..., -1:]
        values = values.where(values > noise, 0)
        ctx.save_for_backward(values, vectors)
        return (vectors * values.where(values > 0, 1).log().unsqueeze(-2)) @ vectors.mT

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        values, vectors = ctx.saved_tensors
        inner = vectors.mT @ (grad + grad.mT) / 2 @ vectors
        return vectors @ (_log_slopes(values) * inner) @ vectors.mT


def _log_slopes(values: Tensor) -> Tensor:
    """(log a - log b) / (a - b) of all pairs of eigenvalues, ``(..., d)`` to ``(..., d, d)``; 1/a where a = b, and 0
    where one of them is 0."""
    a, b = values.unsqueeze(-1), values.unsqueeze(-2)
    ratio = (a - b) / (a + b)
    near = 2 * torch.where(ratio == 0, 1, ratio.atanh() / ratio) / (a + b)  # no cancellation for a close to b
    far = (a.log() - b.log()) / (a - b)
    return torch.where(ratio.abs() < 0.5, near, far).where((a > 0) & (b > 0), 0)
