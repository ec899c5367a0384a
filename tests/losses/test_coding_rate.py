"""Coding rates in float64 against NumPy, written from Yu et al. (2020, Eqs. 1, 2) and Baek et al. (2022)."""

import numpy as np
import pytest
import torch
from differences import finite_differences

from cplearn_solo.core.errors import InputError
from cplearn_solo.losses import coding_rate, eigen_atoms, partition_rate, variational_rate, views_rate

RNG = np.random.default_rng(0)
N, D, K, EPS = 9, 4, 3, 0.5
Z = RNG.normal(size=(N, D))
Z /= np.linalg.norm(Z, axis=1, keepdims=True)
PI = RNG.dirichlet(np.ones(K), size=N)


def slow_rate(z, eps):
    n, d = z.shape
    return 0.5 * np.log(np.linalg.det(np.eye(d) + d / (n * eps) * z.T @ z))


def slow_partition_rate(z, pi, eps):
    n, d = z.shape
    total = 0.0
    for weights in pi.T:
        size = weights.sum()
        if size > 0:
            matrix = np.eye(d) + d / (size * eps) * z.T @ np.diag(weights) @ z
            total += size / (2 * n) * np.log(np.linalg.det(matrix))
    return total


@pytest.mark.parametrize("z", [Z, Z[: D - 1]], ids=["more rows than columns", "fewer"])
def test_rate_and_gradient_are_the_equations(z):
    given = torch.tensor(z, requires_grad=True)
    rate = coding_rate(given, eps=EPS)
    assert rate.item() == pytest.approx(slow_rate(z, EPS), rel=1e-12)
    rate.backward()
    expected = finite_differences(lambda moved: slow_rate(moved, EPS), z)
    np.testing.assert_allclose(given.grad, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("pi", [PI, np.eye(K + 1)[np.arange(N) % K]], ids=["soft", "hard, with an empty class"])
def test_rate_of_classes_and_gradients_are_the_equations(pi):
    z, memberships = torch.tensor(Z, requires_grad=True), torch.tensor(pi, requires_grad=True)
    rate = partition_rate(z, memberships, eps=EPS)
    assert rate.item() == pytest.approx(slow_partition_rate(Z, pi, EPS), rel=1e-12)
    rate.backward()
    expected = finite_differences(lambda moved: slow_partition_rate(moved, pi, EPS), Z)
    np.testing.assert_allclose(z.grad, expected, rtol=1e-6, atol=1e-9)
    assert memberships.grad.isfinite().all()
    if pi is PI:
        expected = finite_differences(lambda moved: slow_partition_rate(Z, moved, EPS), pi)
        np.testing.assert_allclose(memberships.grad, expected, rtol=1e-6, atol=1e-9)


def test_views_of_an_image_are_a_class():
    views = torch.tensor(Z[:8]).unflatten(0, (2, 4))
    expected = slow_partition_rate(Z[:8], np.tile(np.eye(4), (2, 1)), EPS)
    assert views_rate(views, eps=EPS).item() == pytest.approx(expected, rel=1e-12)


def test_the_reduction_is_not_negative():
    """R >= R_c, as log det is concave, with equality for classes of the same covariance."""
    assert slow_rate(Z, EPS) > partition_rate(torch.tensor(Z), torch.tensor(PI), eps=EPS).item()
    alike = torch.full((N, K), 1 / K, dtype=torch.float64)
    assert partition_rate(torch.tensor(Z), alike, eps=EPS).item() == pytest.approx(slow_rate(Z, EPS), rel=1e-12)


@pytest.mark.parametrize("dtype, error", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_the_variational_rate_at_its_optimum_is_the_exact_one(dtype, error):
    z, pi = torch.tensor(Z, dtype=dtype), torch.tensor(PI, dtype=dtype)
    found = variational_rate(z, pi, *eigen_atoms(z, pi), eps=EPS)
    assert found.rate.item() == pytest.approx(slow_partition_rate(Z, PI, EPS), rel=error)
    assert found.misfit.item() == pytest.approx(0, abs=error)


def test_parts_of_the_variational_rate_are_the_equations():
    atoms, amounts = RNG.normal(size=(5, D)), RNG.random((K, 5))
    unit = atoms / np.linalg.norm(atoms, axis=1, keepdims=True)
    rate = misfit = 0.0
    for weights, amount in zip(PI.T, amounts):
        share = weights.sum() / N
        covariance = Z.T @ np.diag(weights) @ Z / weights.sum()
        rate += share / 2 * np.log(1 + D / EPS * amount).sum()
        misfit += share * np.square(covariance - unit.T @ np.diag(amount) @ unit).sum()
    given = (torch.tensor(x) for x in (Z, PI, atoms, amounts))
    found = variational_rate(*given, eps=EPS)
    assert found.rate.item() == pytest.approx(rate, rel=1e-12)
    assert found.misfit.item() == pytest.approx(misfit, rel=1e-12)


def test_other_atoms_without_misfit_have_a_larger_rate():
    """The embeddings themselves as atoms: Z^T Pi_j Z / n_j without error, but not orthogonal."""
    amounts = torch.tensor(PI / PI.sum(axis=0)).T
    found = variational_rate(torch.tensor(Z), torch.tensor(PI), torch.tensor(Z), amounts, eps=EPS)
    assert found.misfit.item() == pytest.approx(0, abs=1e-12)
    assert found.rate.item() > slow_partition_rate(Z, PI, EPS)


def test_the_largest_directions_of_each_class():
    """With too few atoms for its rank the misfit is what the smaller eigenvalues are."""
    z, pi = torch.tensor(Z), torch.tensor(PI)
    atoms, amounts = eigen_atoms(z, pi, D - 1)
    assert atoms.shape == (K * (D - 1), D) and amounts.shape == (K, K * (D - 1))
    expected = 0.0
    for weights in PI.T:
        least = np.linalg.eigvalsh(Z.T @ np.diag(weights) @ Z / weights.sum())[0]
        expected += weights.sum() / N * least**2
    assert variational_rate(z, pi, atoms, amounts, eps=EPS).misfit.item() == pytest.approx(expected, rel=1e-9)


def test_more_directions_than_there_are_and_empty_classes():
    """``per_class`` beyond d is d; a class of nobody has no weight and no amounts, in whatever precision."""
    z, hard = torch.tensor(Z), torch.eye(K + 1, dtype=torch.float64)[torch.arange(N) % K]
    for found, all_of_them in zip(eigen_atoms(z, hard, D + 3), eigen_atoms(z, hard)):
        assert torch.equal(found, all_of_them)
    assert not eigen_atoms(z, hard)[1][K].any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_half_precision_is_computed_in_float32(dtype):
    z, pi = torch.tensor(Z).to(dtype), torch.tensor(PI).to(dtype)
    atoms, amounts = eigen_atoms(z, pi)

    def rates(z, pi):
        rate, misfit = variational_rate(z, pi, atoms, amounts, eps=EPS)
        exact = coding_rate(z=z, eps=EPS), partition_rate(z, memberships=pi, eps=EPS), views_rate(z[None], eps=EPS)
        return torch.stack([rate, misfit, *exact])

    expected = rates(z.float(), pi.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = rates(z, pi)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda z: coding_rate(z, eps=0.0), "eps = 0.0: must be above 0"),
        (lambda z: views_rate(z[None], eps=-1.0), "eps = -1.0: must be above 0"),
        (lambda z: partition_rate(z, z[1:], eps=1.0), "shape of memberships = \\(8, 4\\): must be \\(9, k\\)"),
        (lambda z: variational_rate(z, z, z.T, z, eps=1.0), "shapes of atoms and amounts"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(InputError, match=words):
        call(torch.tensor(Z))
