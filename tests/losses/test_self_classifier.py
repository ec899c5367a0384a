"""Self-Classifier's loss against loops over samples and classes."""

import math

import numpy as np
import pytest
import torch
from differences import finite_differences

from cplearn_solo.core.errors import InputError
from cplearn_solo.losses import self_classifier_loss


def loops(views, tau_row, tau_col):
    """Eqs. 7 and 8 for nested lists of logits, both directions averaged."""
    n, c = len(views[0]), len(views[0][0])

    def over_batch(z):
        e = [[math.exp(z[i][j] / tau_col) for j in range(c)] for i in range(n)]
        p = [[e[i][j] / sum(e[k][j] for k in range(n)) for j in range(c)] for i in range(n)]
        return [[p[i][j] / sum(p[i]) for j in range(c)] for i in range(n)]

    def over_classes(z):
        e = [[math.exp(z[i][j] / tau_row) for j in range(c)] for i in range(n)]
        p = [[e[i][j] / sum(e[i]) for j in range(c)] for i in range(n)]
        return [[n / c * p[i][j] / sum(p[k][j] for k in range(n)) for j in range(c)] for i in range(n)]

    total = 0.0
    for a, b in ((0, 1), (1, 0)):
        target, prediction = over_batch(views[a]), over_classes(views[b])
        for i in range(n):
            total -= sum(target[i][j] * math.log(prediction[i][j] + 1e-8) for j in range(c)) / (2 * n)
    return total


def test_values_and_gradients_are_the_loops():
    z = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).mul(0.2).requires_grad_()
    loss = self_classifier_loss(z[0], z[1], tau_row=0.1, tau_col=0.05)
    assert loss.item() == pytest.approx(loops(z.tolist(), 0.1, 0.05), rel=1e-9)
    loss.backward()
    expected = finite_differences(lambda moved: loops(moved.tolist(), 0.1, 0.05), z.detach().numpy())
    np.testing.assert_allclose(z.grad.numpy(), expected, rtol=0, atol=1e-8)


def test_temperatures_that_are_not_said_are_the_released_ones():
    z = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.2
    assert self_classifier_loss(*z).item() == pytest.approx(loops(z.tolist(), 0.1, 0.05), rel=1e-9)


def test_degenerate_solutions_lose():
    """All samples in one class, and uniform assignments, are worse than even clusters."""
    even = torch.eye(4).repeat(2, 1)
    one = torch.zeros(8, 4)
    one[:, 0] = 1
    assert self_classifier_loss(even, even) < self_classifier_loss(torch.zeros(8, 4), torch.zeros(8, 4))
    assert self_classifier_loss(even, even) < self_classifier_loss(one, one)


def test_shapes_must_match():
    with pytest.raises(InputError, match="shapes"):
        self_classifier_loss(torch.zeros(4, 3), torch.zeros(4, 2))
