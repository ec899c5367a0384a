"""Matrix-SSL's loss against numpy and scipy written from Eqs. 12, 13, 17 and 18, and what its appendix claims."""

import numpy as np
import pytest
import scipy.linalg
import torch
from differences import finite_differences

from cplearn_solo.core.errors import InputError
from cplearn_solo.losses import matrix_ssl_loss
from cplearn_solo.metrics import matrix_cross_entropy, matrix_kl

RNG = np.random.default_rng(0)
N, D = 9, 4
P, Z = RNG.normal(size=(2, N, D)) + 0.3  # features have a mean
WEIGHTS = {"lamb": 0.7, "mu": 0.6, "gamma": 1.3}


def covariance(a, b):
    """1/n A H_n B^T of L2-normalised columns, as the paper writes it, with the centring matrix H_n."""
    a, b = ((x / np.linalg.norm(x, axis=1, keepdims=True)).T for x in (a, b))
    n = a.shape[1]
    return a @ (np.eye(n) - np.ones((n, n)) / n) @ b.T / n


def log(a, order):
    if order is None:
        return scipy.linalg.logm(a)
    x = a - np.eye(len(a))
    return sum((-1) ** (k + 1) * np.linalg.matrix_power(x, k) / k for k in range(1, order + 1))


def slow_loss(p, z, lamb, mu, gamma, order=4, divergence="mce", trace_term=False):
    identity = np.eye(p.shape[1])
    uniformity = -lamb * np.trace(log(covariance(p, z) + mu * identity, order))
    first, second = covariance(p, p) + mu * identity, covariance(z, z) + mu * identity
    alignment = -np.trace(first @ log(second, order))
    traces = np.trace(second)
    if divergence == "mkl":
        alignment += np.trace(first @ log(first, order))
        traces -= np.trace(first)
    return (uniformity + gamma * (alignment + traces * trace_term)).real


@pytest.mark.parametrize("order", [3, 4, 5, None])
@pytest.mark.parametrize("divergence", ["mce", "mkl"])
@pytest.mark.parametrize("trace_term", [False, True])
def test_values_and_gradients_are_the_papers(order, divergence, trace_term):
    form = {"order": order, "divergence": divergence, "trace_term": trace_term}
    p, z = (torch.tensor(x, requires_grad=True) for x in (P, Z))
    result = matrix_ssl_loss(p, z, **WEIGHTS, **form)
    assert result.loss.item() == pytest.approx(slow_loss(P, Z, **WEIGHTS, **form), rel=1e-10)
    assert result.loss.item() == pytest.approx(result.uniformity.item() + 1.3 * result.alignment.item())
    result.loss.backward()
    of_p = finite_differences(lambda moved: slow_loss(moved, Z, **WEIGHTS, **form), P)
    of_z = finite_differences(lambda moved: slow_loss(P, moved, **WEIGHTS, **form), Z)
    np.testing.assert_allclose(p.grad, of_p, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(z.grad, of_z, rtol=1e-6, atol=1e-8)


def test_more_dimensions_than_samples():
    """Eigenvalues mu of the regularised covariance coincide; the exact logarithm has a gradient all the same."""
    p, z = RNG.normal(size=(2, 3, 7))
    online = torch.tensor(z, requires_grad=True)
    matrix_ssl_loss(torch.tensor(p), online, order=None).loss.backward()
    expected = finite_differences(lambda moved: slow_loss(p, moved, 0.5, 0.5, 1.0, None), z)
    np.testing.assert_allclose(online.grad, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("trace_term", [False, True])
@pytest.mark.parametrize("order", [4, None])
def test_both_divergences_have_one_gradient_if_and_only_if_the_teacher_comes_first(order, trace_term):
    teacher, student = torch.tensor(P), torch.tensor(Z)

    def gradient(divergence, teacher_first):
        online = student.clone().requires_grad_()
        views = (teacher, online) if teacher_first else (online, teacher)
        form = {"order": order, "divergence": divergence, "trace_term": trace_term}
        return torch.autograd.grad(matrix_ssl_loss(*views, **form).loss, online)[0]

    torch.testing.assert_close(gradient("mce", True), gradient("mkl", True), rtol=1e-12, atol=1e-15)
    difference = gradient("mce", False) - gradient("mkl", False)
    assert difference.norm() > 0.1 * gradient("mce", False).norm()


@pytest.mark.parametrize("divergence, definition", [("mce", matrix_cross_entropy), ("mkl", matrix_kl)])
def test_with_its_traces_the_alignment_is_the_defined_quantity(divergence, definition):
    first, second = (covariance(x, x) + 0.5 * np.eye(D) for x in (P, Z))
    form = {"order": None, "divergence": divergence, "trace_term": True}
    alignment = matrix_ssl_loss(torch.tensor(P), torch.tensor(Z), **form).alignment
    assert alignment.item() == pytest.approx(definition(first, second).item(), rel=1e-9)


def test_equation_17():
    """Uniformity (12) and alignment (13) of the paper add up to it: the traces of C(Z1, Z2) cancel."""
    mu = 0.5
    cross, first, second = (covariance(*pair) + mu * np.eye(D) for pair in ((P, Z), (P, P), (Z, Z)))
    equation_12 = np.trace(-log(cross, 4) / D + cross)
    equation_13 = -np.trace(cross) + np.trace(-first @ log(second, 4) + second)
    loss = matrix_ssl_loss(torch.tensor(P), torch.tensor(Z), lamb=1 / D, mu=mu, trace_term=True).loss
    assert loss.item() == pytest.approx(equation_12 + equation_13, rel=1e-12)


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("spread", [0.0, 0.1, 10.0])
def test_eigenvalues_stay_where_mu_promises(scale, spread):
    """Covariances of normalised features are in [0, 1], so a mu of at most 1 needs no look at the batch."""
    point = RNG.normal(size=D)
    features = scale * (point + spread * RNG.normal(size=(N, D)))
    eigenvalues = np.linalg.eigvalsh(covariance(features, features))
    assert eigenvalues.min() > -1e-12 and eigenvalues.max() <= 1
    halves = np.concatenate([np.tile(point, (5, 1)), np.tile(-point, (5, 1))])  # the extreme: two opposite points
    assert np.linalg.eigvalsh(covariance(halves, halves)).max() == pytest.approx(1)


def test_the_reported_norm_bounds_the_convergence_of_every_series():
    norm = matrix_ssl_loss(torch.tensor(P), torch.tensor(Z), mu=0.6).taylor_norm.item()
    for pair in ((P, Z), (P, P), (Z, Z)):
        assert np.linalg.norm(covariance(*pair) + 0.6 * np.eye(D) - np.eye(D), 2) <= norm


def test_opposite_embeddings_have_no_exact_uniformity():
    point = torch.tensor([[1.0, 0.0]])
    z = torch.cat([point, -point])
    assert matrix_ssl_loss(-z, z, mu=0.5, order=None).uniformity.isnan()


def test_float32_and_autocast():
    p, z = (torch.tensor(x).float() for x in (P, Z))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = matrix_ssl_loss(p, z, **WEIGHTS)
    assert result.loss.dtype == torch.float32
    assert result.loss.item() == pytest.approx(slow_loss(P, Z, **WEIGHTS), rel=1e-5)


def test_what_is_not_said_is_what_the_released_code_has():
    said = {"lamb": 0.5, "mu": 0.5, "gamma": 1.0, "order": 4, "divergence": "mce", "trace_term": False}
    p, z = torch.tensor(P), torch.tensor(Z)
    assert matrix_ssl_loss(p, z) == matrix_ssl_loss(p, z, **said)


def test_bounds_that_are_allowed():
    p, z = torch.tensor(P), torch.tensor(Z)
    assert matrix_ssl_loss(p, z, mu=1.0, order=1).loss.isfinite()
    assert matrix_ssl_loss(p, z, mu=3.0, order=None).loss.isfinite()
    with pytest.raises(InputError, match="mu = 0.0: must be above 0, for the exact log"):
        matrix_ssl_loss(p, z, mu=0.0, order=None)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"z": torch.ones(3, 2)}, "shapes of features = \\(\\(4, 5\\), \\(3, 2\\)\\)"),
        ({"mu": 1.5}, "mu = 1.5: .* Taylor series .* converges: above 0 and at most 1"),
        ({"mu": 0.0}, "mu = 0.0: .* Taylor series .* converges: above 0 and at most 1"),
        ({"mu": -1.0, "order": None}, "mu = -1.0: must be above 0, for the exact log"),
        ({"order": 0}, "order = 0"),
        ({"divergence": "mk"}, "unknown divergence 'mk': did you mean 'mkl'"),
    ],
)
def test_bad_input(arguments, words):
    with pytest.raises(InputError, match=words):
        matrix_ssl_loss(**{"p": torch.ones(4, 5), "z": torch.ones(4, 5), **arguments})
