"""GEDI's terms against loops, and its samples against a density that is known."""

import math

import numpy as np
import pytest
import torch
from differences import finite_differences

from cplearn_solo.core.errors import InputError
from cplearn_solo.losses import energy, gedi_loss, langevin


def loops(z1, z2, beta):
    def softmax(row):
        return [math.exp(v) / sum(math.exp(u) for u in row) for v in row]

    n, c = len(z1), len(z1[0])
    p1, p2 = [softmax(row) for row in z1], [softmax(row) for row in z2]
    prior = -sum(math.log(sum(p1[i][j] for i in range(n)) / n) for j in range(c))
    invariance = -sum(p2[i][j] * math.log(p1[i][j]) for i in range(n) for j in range(c)) / n
    return prior / 2 + beta / 2 * invariance


def test_values_and_gradients_are_the_loops():
    z = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    loss = gedi_loss(z[0], z[1], beta=0.7)
    assert loss.loss.item() == pytest.approx(loops(*z.tolist(), 0.7), rel=1e-12)
    loss.loss.backward()
    expected = finite_differences(lambda moved: loops(*moved.tolist(), 0.7), z.detach().numpy())
    np.testing.assert_allclose(z.grad.numpy(), expected, rtol=0, atol=1e-8)


def test_beta_is_a_tenth_where_it_is_not_said():
    z = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(1))
    assert gedi_loss(*z).loss.item() == pytest.approx(loops(*z.tolist(), 0.1), rel=1e-6)


def test_saturated_logits_stay_finite():
    z = torch.tensor([[1e4, 0.0, 0.0], [1e4, 0.0, 0.0]]).requires_grad_()
    loss = gedi_loss(z, z).loss
    loss.backward()
    assert loss.isfinite() and z.grad.isfinite().all()


def test_energy_is_minus_the_log_of_summed_exponentials():
    z = torch.tensor([[0.0, math.log(3)], [1000.0, 1000.0]], dtype=torch.float64)
    assert energy(z).tolist() == pytest.approx([-math.log(4), -1000 - math.log(2)])


def test_a_langevin_step_follows_the_gradient_and_leaves_weights_alone():
    weight = torch.tensor(2.0, requires_grad=True)
    start = torch.full((3, 1, 2, 2), 0.5)
    x = langevin(lambda x: weight * x.square().sum(dim=(1, 2, 3)) / 2, start, lambda: 0.01, steps=1, step_size=0.1)
    torch.testing.assert_close(x, torch.full_like(start, 0.5 - 0.1 * 2 * 0.5 + 0.01))
    assert weight.grad is None and not x.requires_grad and torch.equal(start, torch.full_like(start, 0.5))
    downhill = {"energies": lambda x: -10 * x.sum(dim=(1, 2, 3)), "x": start, "noises": lambda: 0.0}
    uphill = {**downhill, "energies": lambda x: 10 * x.sum(dim=(1, 2, 3))}
    assert torch.equal(langevin(**uphill, steps=3, step_size=1.0, clamp=True), -torch.ones_like(start))
    far, kept = (langevin(**downhill, steps=3, step_size=1.0, clamp=clamp) for clamp in (False, True))
    assert torch.equal(far, torch.full_like(start, 30.5)) and torch.equal(kept, torch.ones_like(start))


def test_langevin_samples_have_the_density_of_their_energy():
    """E = x^2 / (2 s^2), noise sqrt(2 step): a Gaussian of standard deviation s = 0.2."""
    generator, s, step = torch.Generator().manual_seed(0), 0.2, 1e-3
    noises = lambda: math.sqrt(2 * step) * torch.randn(2000, 1, 1, 1, generator=generator)  # noqa: E731
    x = langevin(
        lambda x: x.square().flatten() / (2 * s**2), torch.zeros(2000, 1, 1, 1), noises, steps=300, step_size=step
    )
    assert x.std().item() == pytest.approx(s, rel=0.05) and abs(x.mean().item()) < 0.02


def test_shapes_must_match():
    with pytest.raises(InputError, match="shapes"):
        gedi_loss(torch.zeros(4, 3), torch.zeros(4, 2))
