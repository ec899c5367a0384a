"""MEC's loss against loops written from Eq. 2 of the paper."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from differences import finite_differences

from cplearn_solo.core.errors import InputError
from cplearn_solo.losses import coding_scale, mec_loss

RNG = np.random.default_rng(0)
M, D = 6, 4
P, Z = RNG.normal(size=(2, M, D))


def cosines(p, z):
    """C = P Z^T (m, m) of rows of length 1."""
    c = np.zeros((len(p), len(z)))
    for i, row in enumerate(p):
        for j, other in enumerate(z):
            c[i, j] = np.dot(row, other) / math.sqrt(np.dot(row, row) * np.dot(other, other))
    return c


def slow_loss(p, z, scale, order):
    c, total, power = scale * cosines(p, z), 0.0, np.eye(len(p))
    for k in range(1, order + 1):
        power = power @ c
        total += (-1) ** (k + 1) * np.trace(power) / k
    return -total / (scale * len(p))


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("shape", [(M, D), (D, M)], ids=["more rows than columns", "fewer"])
def test_values_and_gradients_are_the_loops(order, shape):
    p, z = P.reshape(shape), Z.reshape(shape)
    online = torch.tensor(z, requires_grad=True)
    result = mec_loss(torch.tensor(p), online, scale=0.3, order=order)
    assert result.loss.item() == pytest.approx(slow_loss(p, z, 0.3, order), rel=1e-12)
    result.loss.backward()
    expected = finite_differences(lambda moved: slow_loss(p, moved, 0.3, order), z)
    np.testing.assert_allclose(online.grad, expected, rtol=1e-6, atol=1e-9)


def test_the_exact_logarithm_is_scipys():
    p, z = torch.tensor(P), torch.tensor(Z)
    expected = -np.trace(scipy.linalg.logm(np.eye(M) + 0.3 * cosines(P, Z))).real / (0.3 * M)
    assert mec_loss(p, z, scale=0.3, order=None).loss.item() == pytest.approx(expected, rel=1e-10)
    assert mec_loss(p, z, scale=0.3, order=60).loss.item() == pytest.approx(expected, rel=1e-10)


def test_parts():
    """The first term of the series is the mean cosine, SimSiam's and BYOL's objective."""
    c = cosines(P, Z)
    result = mec_loss(torch.tensor(P), torch.tensor(Z), scale=0.3, order=1)
    assert result.cosine.item() == pytest.approx(np.trace(c) / M) == pytest.approx(-result.loss.item())
    norm = mec_loss(torch.tensor(P[:D]), torch.tensor(Z[:D]), scale=0.3).taylor_norm
    assert norm.item() == pytest.approx(0.3 * np.linalg.norm(c[:D, :D]))
    assert norm.item() > 0.3 * np.abs(np.linalg.eigvals(c[:D, :D])).max()


def test_lambda_and_its_warm_up():
    """d / (m eps); 1 / lambda falls linearly from eight times its value."""
    full = coding_scale(1024, 2048, eps=64)
    assert full == 2048 / (1024 * 64)
    for passed in (0.0, 0.25, 0.5, 1.0):
        inverse = 8 / full + passed * (1 / full - 8 / full)
        assert 1 / coding_scale(1024, 2048, eps=64, warmed_up=passed) == pytest.approx(inverse)


def test_float32_and_autocast():
    p, z = (torch.tensor(x).float() for x in (P, Z))
    expected = slow_loss(P, Z, 0.3, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = mec_loss(p, z, scale=0.3).loss
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(expected, rel=1e-5)


def test_where_nothing_else_is_said_four_terms_after_the_warm_up():
    p, z = torch.tensor(P), torch.tensor(Z)
    assert mec_loss(p, z, scale=0.3).loss.item() == mec_loss(p, z, scale=0.3, order=4).loss.item()
    assert coding_scale(8, 4, eps=2.0) == coding_scale(8, 4, eps=2.0, warmed_up=1.0)


def test_two_shapes():
    with pytest.raises(InputError, match="shapes of embeddings = \\(\\(3, 2\\), \\(2, 3\\)\\)"):
        mec_loss(torch.ones(3, 2), torch.ones(2, 3), scale=1.0)
