"""Collapse metrics against NumPy, on random features and on every degenerate kind."""

import math

import numpy as np
import pytest
import torch

from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics import collapse

RANDOM = np.random.default_rng(0)
FEATURES = {
    "random": RANDOM.normal(size=(60, 8)) * np.arange(1, 9) + 3,
    "n < d": RANDOM.normal(size=(5, 12)),
    "rank one": np.outer(RANDOM.normal(size=30), RANDOM.normal(size=6)),
    "float32": RANDOM.normal(size=(40, 7)).astype(np.float32),
}
CONSTANT = np.full((20, 6), 0.1)


def eigenvalues(x):
    x = x.astype(np.float64)
    values = np.linalg.eigvalsh((x - x.mean(0)).T @ (x - x.mean(0)) / len(x))[::-1]
    return np.clip(values[: min(x.shape)], 0, None)


@pytest.mark.parametrize("kind", FEATURES)
def test_spectrum_and_what_follows_from_it(kind):
    x = FEATURES[kind]
    values = eigenvalues(x)
    np.testing.assert_allclose(collapse.covariance_spectrum(x).numpy(), values, atol=1e-9 * values[0] + 1e-12)
    np.testing.assert_allclose(collapse.dimension_variances(x).numpy(), x.astype(np.float64).var(axis=0), rtol=1e-9)
    assert collapse.stable_rank(x) == pytest.approx(values.sum() / values[0], rel=1e-9)
    m, cumulative = len(values), np.cumsum(values) / values.sum()
    assert collapse.spectrum_auc(x) == pytest.approx(cumulative.mean() - 1 / (2 * m), rel=1e-9)
    singular = np.linalg.svd(x.astype(np.float64), compute_uv=False)
    p = singular / singular.sum() + 1e-7
    assert collapse.rankme(x) == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-9)
    total = (x.astype(np.float64) ** 2).sum()
    assert collapse.spread(x) == pytest.approx(len(x) * values.sum() / total, rel=1e-9)


@pytest.mark.parametrize("kind", ["random", "rank one", "n < d"])
def test_correlation(kind):
    x = FEATURES[kind]
    c = np.abs(np.corrcoef(x.T))
    d = len(c)
    assert collapse.mean_correlation(x) == pytest.approx((c.sum() - d) / (d * (d - 1)), rel=1e-9)
    with_constant = np.hstack([x, np.ones((len(x), 1))])
    assert collapse.mean_correlation(with_constant) == pytest.approx(collapse.mean_correlation(x), rel=1e-9)


def test_correlation_of_very_many_dimensions_takes_some_of_them(monkeypatch):
    x = np.random.default_rng(0).normal(size=(40, 300)).cumsum(axis=1)  # dimensions far from each other differ
    whole = collapse.mean_correlation(x)
    monkeypatch.setattr(collapse, "_CORRELATED", 75)
    some = x[:, np.linspace(0, 299, 75).astype(int)]
    assert collapse.mean_correlation(x) == pytest.approx(collapse.mean_correlation(some), rel=1e-12)
    assert collapse.mean_correlation(x) == pytest.approx(whole, rel=0.05)


def with_spectrum(values, n=160):
    """Features ``(n, d)`` with these eigenvalues of their covariance, in no particular basis."""
    d = len(values)
    centred = RANDOM.normal(size=(n, d))
    u = np.linalg.qr(centred - centred.mean(0))[0]
    return u * np.sqrt(n * np.asarray(values)) @ np.linalg.qr(RANDOM.normal(size=(d, d)))[0]


@pytest.mark.parametrize("alpha", [0.0, 0.5, 2.0])
def test_power_law_of_a_spectrum_that_has_one(alpha):
    x = with_spectrum(np.arange(1, 21.0) ** -alpha)
    assert collapse.power_law_exponent(x) == pytest.approx(alpha, abs=1e-6)
    assert collapse.spectrum_auc(x) == pytest.approx(0.5) or alpha > 0


def test_power_law_is_fitted_to_the_4th_to_100th_eigenvalue_with_weights():
    """numpy.polyfit takes square roots of the weights."""
    values = np.sort(RANDOM.exponential(size=120))[::-1]
    rank = np.arange(4, 101)
    slope, _ = np.polyfit(np.log(rank), np.log(values[3:100]), 1, w=rank**-0.5)
    assert collapse.power_law_exponent(with_spectrum(values)) == pytest.approx(-slope, rel=1e-6)
    other_ends = np.concatenate([values[:3] * 50, values[3:100], values[100:] / 50])
    assert collapse.power_law_exponent(with_spectrum(other_ends)) == pytest.approx(-slope, rel=1e-6)


def test_a_power_law_needs_five_directions_and_a_correlation_two():
    few = with_spectrum(np.arange(1, 6.0) ** -2.0)
    assert collapse.power_law_exponent(few) == pytest.approx(2, abs=1e-6)
    with pytest.raises(InputError, match="fewer than 5 directions: a power law needs as many"):
        collapse.power_law_exponent(with_spectrum([1.0, 0.5, 0.3, 0.2]))
    with pytest.raises(InputError, match="features vary in 1 of 3 dimensions: a correlation needs at least 2"):
        collapse.mean_correlation(np.outer(np.arange(9.0), [0, 1, 0]))
    two = np.array([[0, 0], [1, 0], [0, 1], [1, 1.0]])
    assert collapse.mean_correlation(two) == pytest.approx(0, abs=1e-12)


def test_constant_features():
    assert collapse.spread(CONSTANT) == pytest.approx(0, abs=1e-15) and collapse.stable_rank(CONSTANT) == 0
    assert collapse.dimension_variances(CONSTANT).max() < 1e-30
    for metric in (collapse.mean_correlation, collapse.spectrum_auc, collapse.power_law_exponent):
        with pytest.raises(InputError):
            metric(CONSTANT)
    assert collapse.spread(np.zeros((4, 3))) == 0


def test_one_direction():
    x = FEATURES["rank one"]
    assert collapse.stable_rank(x) == pytest.approx(1) and collapse.mean_correlation(x) == pytest.approx(1)
    assert collapse.spectrum_auc(x) > 0.9
    with pytest.raises(InputError, match="power law"):
        collapse.power_law_exponent(x)


def test_codes():
    codes = torch.tensor([0, 0, 0, 1, 3, 3])
    share = np.array([3, 1, 2]) / 6
    assert collapse.code_entropy(codes, 5) == pytest.approx(-(share * np.log(share)).sum())
    assert collapse.largest_share(codes, 5) == 0.5
    assert collapse.code_entropy(torch.arange(7), 7) == pytest.approx(math.log(7))
    one = torch.full((9,), 2)
    assert collapse.code_entropy(one, 5) == 0 and collapse.largest_share(one, 5) == 1
    with pytest.raises(InputError, match="below"):
        collapse.code_entropy(codes, 3)


def test_bad_features():
    for bad in (np.full((3, 2), np.nan), np.zeros(4), np.zeros((0, 3))):
        with pytest.raises(InputError, match="features"):
            collapse.spread(bad)
