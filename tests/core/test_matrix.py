"""Matrix logarithms against scipy, also where eigenvalues coincide or vanish."""

import numpy as np
import pytest
import scipy.linalg
import torch

from cplearn_solo.core.matrix import log_exact, log_taylor, trace_log

RNG = np.random.default_rng(0)
BASIS = scipy.linalg.qr(RNG.normal(size=(6, 6)))[0]
SPECTRA = {
    "distinct": [0.1, 0.3, 0.7, 1.1, 1.9, 4.0],
    "close": [0.5, 0.5 + 1e-9, 0.5 + 1e-5, 0.52, 1.0, 1.6],
    "regularised": [0.5, 0.5, 0.5, 0.5, 0.8, 1.2],  # covariance of rank 2 plus I/2
    "identity": [1.0] * 6,
    "wide": [1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0],
}


def with_spectrum(values):
    return (BASIS * np.array(values)) @ BASIS.T


def derivative(a, direction):
    """Of logm at a in a direction: the upper right block of logm([[a, direction], [0, a]])."""
    n = len(a)
    return scipy.linalg.logm(np.block([[a, direction], [np.zeros((n, n)), a]]))[:n, n:].real


@pytest.mark.parametrize("values", SPECTRA.values(), ids=SPECTRA)
def test_exact_logarithm_and_its_gradient_are_scipys(values):
    matrix = with_spectrum(values)
    a = torch.tensor(matrix, requires_grad=True)
    log = log_exact(a)
    np.testing.assert_allclose(log.detach(), scipy.linalg.logm(matrix), rtol=1e-9, atol=1e-11)
    weight = RNG.normal(size=(6, 6))
    (log * torch.tensor(weight)).sum().backward()
    direction = with_spectrum(np.array(values) * RNG.normal(size=6))
    direction += RNG.normal(size=(6, 6)) * min(values)
    direction += direction.T
    slope = (a.grad * torch.tensor(direction)).sum().item()
    assert slope == pytest.approx((derivative(matrix, direction) * weight).sum(), rel=1e-6)


def test_zero_eigenvalues_have_logarithm_zero_and_a_finite_gradient():
    a = torch.tensor(with_spectrum([0, 0, 0, 0.5, 1.0, 2.0]), requires_grad=True)
    log = log_exact(a)
    np.testing.assert_allclose(log.detach(), with_spectrum([0, 0, 0, -np.log(2), 0, np.log(2)]), atol=1e-12)
    log.square().sum().backward()
    assert a.grad.isfinite().all()


def test_a_batch_of_matrices():
    matrices = np.stack([with_spectrum(values) for values in list(SPECTRA.values())[:3]])
    expected = np.stack([scipy.linalg.logm(matrix) for matrix in matrices])
    np.testing.assert_allclose(log_exact(torch.tensor(matrices)), expected, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 8])
def test_taylor_polynomials_of_any_square_matrix(order):
    x = RNG.normal(size=(5, 5)) / 6
    expected = sum((-1) ** (k + 1) * np.linalg.matrix_power(x, k) / k for k in range(1, order + 1))
    np.testing.assert_allclose(log_taylor(torch.tensor(x), order), expected, rtol=1e-12, atol=1e-14)
    assert trace_log(torch.tensor(x), order).item() == pytest.approx(np.trace(expected), rel=1e-12)


def test_the_series_converges_to_the_logarithm():
    x = RNG.normal(size=(5, 5))
    x = 0.7 * x / np.linalg.norm(x, 2)
    log = scipy.linalg.logm(np.eye(5) + x)
    np.testing.assert_allclose(log_taylor(torch.tensor(x), 100), log, atol=1e-14)
    assert trace_log(torch.tensor(x), None).item() == pytest.approx(np.trace(log), rel=1e-12)


def test_no_real_logarithm_of_a_negative_determinant():
    assert trace_log(torch.diag(torch.tensor([-3.0, 0.5])), None).isnan()
