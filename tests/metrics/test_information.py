"""Definitions against numpy, and the theorems that connect them, of Zhang et al., ICML 2024."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics import (
    effective_rank,
    matrix_cross_entropy,
    matrix_entropy,
    matrix_kl,
    matrix_log,
    total_coding_rate,
)

RNG = np.random.default_rng(0)


def covariance(n: int, d: int) -> np.ndarray:
    """Of n rows of length 1: trace 1, rank min(n, d)."""
    z = RNG.normal(size=(n, d)) * RNG.random(d)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    return z.T @ z / n


def log_reference(a: np.ndarray) -> np.ndarray:
    """By numpy's eigh, with log 0 := 0."""
    values, vectors = np.linalg.eigh(a)
    logs = [np.log(value) if value > 1e-12 else 0.0 for value in values]
    return sum(log * np.outer(v, v) for log, v in zip(logs, vectors.T, strict=True))


def entropy_reference(a: np.ndarray) -> float:
    return sum(value - value * np.log(value) for value in np.linalg.eigvalsh(a) if value > 1e-12)


def kl_reference(p: np.ndarray, q: np.ndarray) -> float:
    return np.trace(p @ log_reference(p) - p @ log_reference(q) - p + q)


CASES = {
    "regular": (covariance(50, 6), 3 * covariance(50, 6)),
    "rank one": (covariance(1, 6), covariance(50, 6)),
    "both singular": (covariance(3, 6), covariance(4, 6)),
    "zero": (np.zeros((6, 6)), covariance(50, 6)),
    "of one number": (np.array([[0.3]]), np.array([[2.0]])),
    "identity": (np.eye(4), np.eye(4) / 4),
}


@pytest.mark.parametrize("p, q", CASES.values(), ids=CASES)
def test_definitions(p: np.ndarray, q: np.ndarray) -> None:
    assert matrix_entropy(p).item() == pytest.approx(entropy_reference(p), abs=1e-12)
    assert matrix_kl(p, q).item() == pytest.approx(kl_reference(p, q), abs=1e-10)
    assert matrix_cross_entropy(p, q).item() == pytest.approx(np.trace(-p @ log_reference(q) + q), abs=1e-10)
    assert matrix_log(p).numpy() == pytest.approx(log_reference(p), abs=1e-10)


def test_against_scipys_logarithm() -> None:
    p, q = covariance(50, 6), covariance(50, 6)
    log_p, log_q = scipy.linalg.logm(p), scipy.linalg.logm(q)
    assert matrix_kl(p, q).item() == pytest.approx(np.trace(p @ log_p - p @ log_q - p + q), rel=1e-9)
    assert matrix_kl(p, p).item() == pytest.approx(0, abs=1e-12)


def test_they_are_the_classical_ones_on_the_diagonal() -> None:
    p, q = RNG.dirichlet(np.ones(5)), RNG.dirichlet(np.ones(5))
    assert matrix_kl(np.diag(p), np.diag(q)).item() == pytest.approx(np.sum(p * np.log(p / q)))
    assert matrix_entropy(np.diag(p)).item() - 1 == pytest.approx(-np.sum(p * np.log(p)))


@pytest.mark.parametrize("n, d", [(40, 6), (4, 12), (1, 5)])
@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_theorem_3_1_with_its_sign_and_factor_corrected(n: int, d: int, epsilon: float) -> None:
    z = RNG.normal(size=(n, d))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    rate = total_coding_rate(z, epsilon=epsilon).item()
    determinant = np.linalg.det(np.eye(d) + d / (n * epsilon**2) * z.T @ z)
    assert rate == pytest.approx(np.log(determinant) / 2)

    lamb = epsilon**2 / d
    uniform, regular = np.eye(d) * (1 / d + lamb), z.T @ z / n + lamb * np.eye(d)
    expected = (1 + d * lamb) * (-np.log(lamb) + 1 - 2 / d * rate)
    assert matrix_cross_entropy(uniform, regular).item() == pytest.approx(expected)
    expected = (1 + d * lamb) * (np.log((1 + d * lamb) / (lamb * d)) - 2 / d * rate)
    assert matrix_kl(uniform, regular).item() == pytest.approx(expected)
    printed = (1 + d * lamb) * (-np.log(lamb) + 1 + 2 * rate)
    assert matrix_cross_entropy(uniform, regular).item() != pytest.approx(printed)


@pytest.mark.parametrize("n, d", [(40, 6), (4, 12), (1, 5)])
def test_proposition_5_1(n: int, d: int) -> None:
    """erank(C) = d / exp(MKL(C || I/d)) for a covariance C of trace 1; erank is that of C's own singular values."""
    c = covariance(n, d)
    rank = d / matrix_kl(c, np.eye(d) / d).exp().item()
    # rows without a mean whose singular values are the eigenvalues of C
    assert rank == pytest.approx(effective_rank(np.concatenate([c, -c])))
    assert rank == pytest.approx((matrix_entropy(c) - 1).exp().item())


def test_proposition_2_6_the_cross_entropy_is_smallest_at_its_first_argument() -> None:
    p = covariance(50, 5)
    for _ in range(20):
        change = RNG.normal(size=(5, 5)) * 0.01
        q = p + change @ change.T
        assert matrix_cross_entropy(p, q) > matrix_cross_entropy(p, p)


@pytest.mark.parametrize("values", [[0.2, 0.5, 0.9, 1.4], [0.5, 0.5, 0.5, 1.0]])
def test_gradients(values: list[float]) -> None:
    """Against finite differences, also for equal eigenvalues."""
    basis = torch.linalg.qr(torch.tensor(RNG.normal(size=(4, 4))))[0]
    p = (basis * torch.tensor(values)) @ basis.T
    q = torch.tensor(covariance(50, 4))

    def symmetric(function):
        return lambda a, b: function((a + a.T) / 2, (b + b.T) / 2)

    for function in (matrix_kl, matrix_cross_entropy):
        inputs = (p.clone().requires_grad_(), q.clone().requires_grad_())
        assert torch.autograd.gradcheck(symmetric(function), inputs)
    assert torch.autograd.gradcheck(lambda a: matrix_entropy((a + a.T) / 2), p.clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda z: total_coding_rate(z, epsilon=0.7), q.clone().requires_grad_())


def test_the_gradient_of_a_singular_matrix_is_finite() -> None:
    p = torch.tensor(covariance(2, 5), requires_grad=True)
    matrix_entropy(p).backward()
    assert p.grad.isfinite().all()


def test_precision() -> None:
    c = covariance(50, 6)
    assert matrix_entropy(c).dtype == torch.float64
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        low = matrix_entropy(torch.tensor(c).to(dtype))
        assert low.dtype == torch.float32 and low.item() == pytest.approx(matrix_entropy(c).item(), rel=1e-2)


@pytest.mark.parametrize("order", [3, 4, 5])
def test_taylor_series(order: int) -> None:
    a = covariance(50, 5) + 0.5 * np.eye(5)
    x = a - np.eye(5)
    expected = sum((-1) ** (k + 1) * np.linalg.matrix_power(x, k) / k for k in range(1, order + 1))
    assert matrix_log(a, order).numpy() == pytest.approx(expected)
    assert matrix_log(a, 200).numpy() == pytest.approx(matrix_log(a).numpy())


NOT_SYMMETRIC = [[1.0, 0.5], [0.0, 1.0]]
BAD = [
    (np.ones((2, 3)), "shape = \\(2, 3\\): must be \\(d, d\\), a square matrix"),
    (NOT_SYMMETRIC, "= 0.5: must be 0, as . must be symmetric"),
    ([[1.0, 2.0], [2.0, 1.0]], "eigenvalue of . = -1.*: must be 0 or more, as . must be positive semi-definite"),
    ([[1.0, np.nan], [np.nan, 1.0]], "= nan: must be finite"),
    ([[np.inf]], "= inf: must be finite"),
    (np.ones(3), "shape = \\(3,\\): must be that of a matrix"),
    (np.ones((0, 0)), "must be that of a matrix"),
    ("words", "= str: must be a matrix of numbers"),
]


@pytest.mark.parametrize("value, words", BAD)
def test_bad_matrices(value: object, words: str) -> None:
    good = np.eye(2)
    for call in (
        lambda: matrix_entropy(value),
        lambda: matrix_log(value),
        lambda: matrix_kl(value, good),
        lambda: matrix_cross_entropy(good, value),
    ):
        with pytest.raises(InputError, match=words):
            call()


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: matrix_kl(np.eye(2), np.eye(3)), "q.shape = \\(3, 3\\): must be that of p, \\(2, 2\\)"),
        (lambda: matrix_log(np.zeros((3, 3)), 4), "\\|\\|a - I\\|\\| = 1.0: must be below 1"),
        (lambda: matrix_log(2 * np.eye(3), 4), "\\|\\|a - I\\|\\| = 1.*: must be below 1, where the Taylor series"),
        (lambda: matrix_log(np.zeros((2, 2)), 4), "must be below 1"),
        (lambda: matrix_log(np.eye(2), 0), "order = 0: must be an integer from 1"),
        (lambda: total_coding_rate(np.ones((3, 2)), epsilon=0.0), "epsilon = 0.0: must be a finite number above 0"),
        (lambda: total_coding_rate(np.ones(3), epsilon=1.0), "features.shape = \\(3,\\): must be that of a matrix"),
    ],
)
def test_bad_arguments(call, words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()


def test_rounding_of_a_float32_covariance_is_no_error() -> None:
    z = torch.randn(100, 64, generator=torch.Generator().manual_seed(0))
    c = (z.T @ z / 100).double() + 1e-8 * torch.tensor(RNG.normal(size=(64, 64)))
    assert matrix_entropy(c).isfinite()
