"""Entropies against densities that are known; ranks and variances against NumPy."""

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.metrics import calinski_harabasz_score

from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics import intracluster

RANDOM = np.random.default_rng(1)
X = RANDOM.normal(size=(90, 5)) * [1, 2, 3, 0.5, 0.1]
LABELS = np.repeat([0, 3, 7], 30)


def test_mixture_of_one_gaussian_has_its_entropy():
    x = RANDOM.normal(size=(20_000, 3)) * [1.0, 2.0, 0.5]
    expected = 1.5 * math.log(2 * math.pi * math.e) + math.log(1.0)
    assert intracluster.gmm_entropy(x, components=1) == pytest.approx(expected, abs=0.05)
    assert intracluster.gmm_entropy(x, components=1, seed=3) == intracluster.gmm_entropy(x, components=1, seed=3)


def test_separate_clusters_add_the_entropy_of_their_choice():
    x = RANDOM.normal(size=(8000, 2)) * 0.1
    apart = x + 100 * RANDOM.integers(0, 4, size=(8000, 1))
    difference = intracluster.gmm_entropy(apart, components=4) - intracluster.gmm_entropy(x, components=1)
    assert difference == pytest.approx(math.log(4), abs=0.06)


def test_gaussian_entropy():
    covariance = np.cov(X.T, bias=True) + 0.01 * np.eye(5)
    expected = 0.5 * np.linalg.slogdet(2 * math.pi * math.e * covariance)[1]
    assert intracluster.gaussian_entropy(X, noise=0.01) == pytest.approx(expected, rel=1e-9)
    point = intracluster.gaussian_entropy(np.ones((9, 4)), noise=0.01)
    assert point == pytest.approx(2 * math.log(2 * math.pi * math.e * 0.01))


def test_noise_and_draws_that_are_not_said():
    """The collapse report compares numbers that were made with them."""
    assert intracluster.gaussian_entropy(X) == intracluster.gaussian_entropy(X, noise=1e-3)
    assert intracluster.pairwise_entropy(X) == intracluster.pairwise_entropy(X, noise=1e-3)
    said = intracluster.gmm_entropy(X, components=2, samples=10_000, seed=0)
    assert intracluster.gmm_entropy(X, components=2) == said
    assert intracluster.gmm_entropy(X, components=90, samples=1) < 0  # as many components as samples


def test_pairwise_entropy():
    squared = ((X[:, None] - X[None]) ** 2).sum(axis=2)
    mixing = -(logsumexp(-squared / 0.4, axis=1) - math.log(len(X))).mean()
    expected = 2.5 * math.log(2 * math.pi * math.e * 0.2) + mixing
    assert intracluster.pairwise_entropy(X, noise=0.2) == pytest.approx(expected, rel=1e-9)
    one, apart = np.zeros((8, 3)), np.eye(8) * 1e3
    base = 1.5 * math.log(2 * math.pi * math.e * 1e-3)
    assert intracluster.pairwise_entropy(one) == pytest.approx(base)
    assert intracluster.pairwise_entropy(apart[:, :3] + apart[:, 3:6] * 2 + apart[:, 5:]) <= base + math.log(8) + 1e-9


def erank(matrix):
    values = np.clip(np.linalg.eigvalsh(matrix), 0, None)
    p = values[values > 0] / values.sum()
    return np.exp(-(p * np.log(p)).sum())


def test_class_ranks():
    groups = [X[k == LABELS] for k in (0, 3, 7)]
    intra = np.mean([erank(np.cov(g.T, bias=True)) for g in groups])
    assert intracluster.intra_class_effective_rank(X, LABELS) == pytest.approx(intra, rel=1e-6)
    around = np.stack([g.mean(0) for g in groups]) - X.mean(0)
    assert intracluster.inter_class_effective_rank(X, LABELS) == pytest.approx(erank(around.T @ around / 3), rel=1e-4)


def test_class_rank_of_fewer_samples_than_dimensions():
    wide = RANDOM.normal(size=(12, 40))
    expected = np.mean([erank(np.cov(wide[rows].T, bias=True)) for rows in (slice(0, 6), slice(6, 12))])
    found = intracluster.intra_class_effective_rank(wide, np.repeat([0, 1], 6))
    assert found == pytest.approx(expected, rel=1e-6)


def test_mixture_of_tight_clusters_and_dead_dimensions():
    """What rectified features of a collapsing network look like; in float32 the fit would fail."""
    centres = np.maximum(RANDOM.normal(size=(40, 64)), 0) * (np.arange(64) < 48)
    x = (centres[RANDOM.integers(0, 40, size=400)] * (1 + 1e-5 * RANDOM.normal(size=(400, 1)))).astype(np.float32)
    assert -64 * 7 < intracluster.gmm_entropy(x, components=80) < 0


def test_within_cluster_variance():
    score = calinski_harabasz_score(X, LABELS)
    assert intracluster.within_cluster_variance(X, LABELS) == pytest.approx(89 / (87 + 2 * score), rel=1e-9)
    random = np.random.default_rng(0)
    noise, clusters = random.normal(size=(1000, 5)), random.integers(400, size=1000)
    assert intracluster.within_cluster_variance(noise, clusters) == pytest.approx(1, abs=0.05)
    points = torch.eye(4)[torch.arange(12) % 4]
    assert intracluster.within_cluster_variance(points, torch.arange(12) % 4) == 0
    assert intracluster.within_cluster_variance(points, torch.zeros(12, dtype=torch.int64)) == pytest.approx(1)
    assert intracluster.intra_class_effective_rank(points, torch.arange(12) % 4) == 0


def test_classes_that_are_points_have_no_rank_whatever_rounding_leaves():
    points = torch.full((21, 3), 0.1, dtype=torch.float64) + torch.tensor([0.1, 0.2, 0.3]).double()
    assert intracluster.intra_class_effective_rank(points, torch.arange(21) % 3) == 0
    assert intracluster.inter_class_effective_rank(points, torch.arange(21) % 3) == 0


def test_a_mixture_needs_two_samples():
    with pytest.raises(InputError, match=r"features.shape = \(1, 4\): must be \(n, d\) with n >= 2"):
        intracluster.gmm_entropy(torch.zeros(1, 4), components=1)


def test_bad_input():
    with pytest.raises(InputError, match="components = 100: must be at most the 90 samples"):
        intracluster.gmm_entropy(X, components=100)
    with pytest.raises(InputError, match="constant"):
        intracluster.within_cluster_variance(np.full((90, 2), 0.3), LABELS)
    with pytest.raises(InputError, match="cluster of its own"):
        intracluster.within_cluster_variance(X, np.arange(90))
    with pytest.raises(InputError, match=r"clusters.shape = \(5,\): must be \(90,\), one for each sample"):
        intracluster.intra_class_effective_rank(X, LABELS[:5])
    with pytest.raises(InputError, match="noise"):
        intracluster.gaussian_entropy(X, noise=0)
    with pytest.raises(InputError, match="finite"):
        intracluster.pairwise_entropy(np.full((3, 2), np.inf))
