"""Statements of the papers in numbers, where no test of a measure or a loss is one already."""

import math

import numpy as np
import pytest
import torch

from cplearn_solo.dictionary import make_dictionary
from cplearn_solo.metrics import effective_rank, matrix_cross_entropy, matrix_kl, total_coding_rate

RNG = np.random.default_rng(0)


def on_the_sphere(n, d):
    z = torch.from_numpy(RNG.normal(size=(n, d)))
    return z / z.norm(dim=1, keepdim=True)


def erank(symmetric):
    """Effective rank of a positive semi-definite matrix by its definition (Matrix-SSL, Eq. 7)."""
    p = np.linalg.eigvalsh(symmetric).clip(1e-15)
    p /= p.sum()
    return np.exp(-(p * np.log(p)).sum())


def simplex(k):
    """k vectors of length 1 around 0, all at the same angle: an equiangular tight frame, in rows."""
    return math.sqrt(k / (k - 1)) * (np.eye(k) - 1 / k)


@pytest.mark.parametrize("k", [16, 64, 256])
def test_corollary_1_of_cplearn(k):
    """Theorem 1's embedding with the second value of alpha is off its code by 2 / sqrt(c), which goes to 0."""
    n, w = 8, make_dictionary(k, k, kind="hadamard").double()
    alpha = (1 - 2 / k) / math.sqrt(n)
    h = alpha * w[:, 3] + (alpha - 1 / math.sqrt(n)) * (w.sum(dim=1) - w[:, 3])
    assert h.norm() == pytest.approx(math.sqrt(k / n))  # of Eq. 1's length, too
    code = w[:, 3] / math.sqrt(n)
    assert (h - code).norm() / code.norm() == pytest.approx(2 / math.sqrt(k))


def test_lemma_2_4_and_proposition_2_5_of_matrix_ssl():
    a = torch.from_numpy(RNG.normal(size=(5, 9)))
    p = a @ a.T
    assert torch.linalg.eigvalsh(p).min() >= 0
    for _ in range(5):
        b = torch.from_numpy(RNG.normal(size=(5, 9)))
        assert matrix_kl(p, b @ b.T) > 0
        assert matrix_cross_entropy(p, b @ b.T) > matrix_cross_entropy(p, p)
    assert matrix_kl(p, p).item() == pytest.approx(0, abs=1e-9)


def test_theorem_3_2_of_matrix_ssl_holds_for_the_negative_rate():
    """Equal directions have the largest coding rate, so it is -L_TCR that they minimise."""
    d = 4
    axes = torch.cat([torch.eye(d), -torch.eye(d)]).double()
    best = total_coding_rate(axes, epsilon=0.5)
    assert all(total_coding_rate(on_the_sphere(2 * d, d), epsilon=0.5) < best for _ in range(20))


def test_theorem_4_1_of_matrix_ssl():
    """The trace of a centred covariance on the sphere is 1 - |mean|^2: a trace of 1 leaves no mean."""
    z = on_the_sphere(50, 4) + 0.0
    centred = z - z.mean(dim=0)
    trace = (centred.T @ centred / len(z)).trace()
    assert trace.item() == pytest.approx(1 - z.mean(dim=0).square().sum().item())
    axes = torch.cat([torch.eye(4), -torch.eye(4)]).double()
    torch.testing.assert_close(axes.T @ axes / 8, torch.eye(4).double() / 4)


def test_lemma_4_2_of_matrix_ssl():
    z1, z2 = RNG.normal(size=(2, 4, 10)) + 1
    h = np.eye(10) - 1 / 10
    np.testing.assert_allclose(z1 @ h @ z2.T / 10, np.cov(z1, z2, bias=True)[:4, 4:])


@pytest.mark.parametrize("k", [3, 8])
def test_theorem_d_3_of_matrix_ssl(k):
    frame = simplex(k)
    assert erank(frame @ frame.T) == pytest.approx(k - 1)
    moved = frame + 0.1 * RNG.normal(size=(k, k))
    moved -= moved.mean(axis=0)
    assert erank(moved @ moved.T) < k - 1 - 1e-4


def test_theorem_d_4_of_matrix_ssl():
    """A batch of 512 tells the rank of 20,000 rows to one per cent in 16 dimensions."""
    rows = torch.from_numpy(RNG.normal(size=(20_000, 16)) * np.linspace(0.2, 2, 16))
    batches = [effective_rank(batch) for batch in rows[: 20 * 512].split(512)]
    assert np.mean(batches) == pytest.approx(effective_rank(rows), rel=0.01)


def test_theorem_d_5_of_matrix_ssl():
    means = RNG.normal(size=(5, 20))
    means -= means.mean(axis=0)
    assert erank(means.T @ means / 5) == pytest.approx(erank(means @ means.T))
