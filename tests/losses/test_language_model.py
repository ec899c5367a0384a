"""The language-model loss against loops written from Eq. 16 of Matrix-SSL."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from differences import finite_differences
from torch import nn

from cplearn_solo.core.errors import InputError
from cplearn_solo.losses import language_model_loss

RNG = np.random.default_rng(0)
TARGETS = [3, 0, 3, 6]


def slow_loss(logits, embeddings, mu, order=None):
    """Mean over tokens of -sum_i p_i log q_i - tr(P log(Q + mu I))."""
    vocabulary, d = embeddings.shape
    vectors = [e / math.sqrt(np.dot(e, e)) for e in embeddings]
    total = 0.0
    for row, target in zip(logits, TARGETS, strict=True):
        q = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
        p = [1.0 if i == target else 0.0 for i in range(vocabulary)]
        first, second = np.zeros((d, d)), mu * np.eye(d)
        for i in range(vocabulary):
            first += p[i] * np.outer(vectors[i], vectors[i])
            second += q[i] * np.outer(vectors[i], vectors[i])
        if order is None:
            log = scipy.linalg.logm(second).real
        else:
            x = second - np.eye(d)
            log = sum((-1) ** (k + 1) * np.linalg.matrix_power(x, k) / k for k in range(1, order + 1))
        total += -math.log(q[target]) - np.trace(first @ log)
    return total / len(TARGETS)


@pytest.mark.parametrize("vocabulary, d, mu", [(9, 4, 1e-5), (7, 10, 1e-3)])
@pytest.mark.parametrize("order", [None, 3, 4, 5])
def test_values_and_gradients_are_the_loops(vocabulary, d, mu, order):
    logits, embeddings = RNG.normal(size=(4, vocabulary)), RNG.normal(size=(vocabulary, d))
    z, e = (torch.tensor(x, requires_grad=True) for x in (logits, embeddings))
    result = language_model_loss(z, torch.tensor(TARGETS), e, mu=mu, order=order)
    assert result.loss.item() == pytest.approx(slow_loss(logits, embeddings, mu, order), rel=1e-8)
    assert result.loss.item() == pytest.approx((result.cross_entropy + result.matrix_cross_entropy).item())
    result.loss.backward()
    of_logits = finite_differences(lambda moved: slow_loss(moved, embeddings, mu, order), logits)
    of_embeddings = finite_differences(lambda moved: slow_loss(logits, moved, mu, order), embeddings)
    np.testing.assert_allclose(z.grad, of_logits, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(e.grad, of_embeddings, rtol=1e-6, atol=1e-8)


def test_without_mu_it_is_equation_16_to_the_letter():
    logits, embeddings = RNG.normal(size=(4, 9)), RNG.normal(size=(9, 4))
    result = language_model_loss(torch.tensor(logits), torch.tensor(TARGETS), torch.tensor(embeddings), mu=0.0)
    assert result.loss.item() == pytest.approx(slow_loss(logits, embeddings, 0.0), rel=1e-10)


def test_orthonormal_embeddings_double_the_cross_entropy():
    """Q is diagonal then, with the probabilities on it."""
    logits = torch.tensor(RNG.normal(size=(4, 7)))
    result = language_model_loss(logits, torch.tensor(TARGETS), torch.eye(7, dtype=torch.float64), mu=0.0)
    assert result.matrix_cross_entropy.item() == pytest.approx(result.cross_entropy.item())


def test_a_synonym_costs_less_than_another_wrong_token():
    embeddings = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.2, 0.0], [0.0, 0.0, 1.0]])
    target = torch.tensor([0])
    synonym = language_model_loss(torch.tensor([[0.0, 3.0, 0.0]]), target, embeddings)
    other = language_model_loss(torch.tensor([[0.0, 0.0, 3.0]]), target, embeddings)
    assert synonym.cross_entropy.item() == pytest.approx(other.cross_entropy.item())
    assert synonym.matrix_cross_entropy < other.matrix_cross_entropy - 1


def test_a_wrong_token_predicted_with_certainty_is_costly_and_has_a_gradient():
    """In float32 Q is exactly singular here."""
    logits = torch.tensor([[0.0, 200.0, 0.0]], requires_grad=True)
    result = language_model_loss(logits, torch.tensor([0]), torch.eye(3))
    assert result.matrix_cross_entropy.item() == pytest.approx(-math.log(1e-5), rel=1e-2)
    result.loss.backward()
    assert logits.grad.isfinite().all() and logits.grad[0, 0] < 0


def test_float32_and_autocast():
    logits, embeddings = RNG.normal(size=(4, 9)), RNG.normal(size=(9, 5))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = language_model_loss(
            torch.tensor(logits).float(), torch.tensor(TARGETS), torch.tensor(embeddings).float()
        ).loss
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(slow_loss(logits, embeddings, 1e-5), rel=1e-4)


@pytest.mark.parametrize("order, mu", [(None, 1e-5), (4, 0.5)])
def test_a_small_model_learns(order, mu):
    """Next characters of a sentence from the last one; the head's own rows are the embeddings."""
    text = "the quick brown fox jumps over the lazy dog and the lazy dog sleeps " * 2
    letters = sorted(set(text))
    tokens = torch.tensor([letters.index(letter) for letter in text])
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(len(letters), 8), nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, len(letters)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    losses = []
    for _ in range(60):
        embeddings = model[-1].weight.detach()
        losses.append(language_model_loss(model(tokens[:-1]), tokens[1:], embeddings, mu=mu, order=order))
        optimizer.zero_grad()
        losses[-1].loss.backward()
        optimizer.step()
    assert losses[-1].cross_entropy < 0.5 * losses[0].cross_entropy
    assert losses[-1].matrix_cross_entropy < 0.6 * losses[0].matrix_cross_entropy


def test_bounds_that_are_allowed_and_what_is_not_said():
    given = torch.zeros(4, 7), torch.tensor(TARGETS), torch.ones(7, 2)
    assert language_model_loss(*given, mu=1.0, order=1).loss.isfinite()
    said = language_model_loss(*given, mu=1e-5, order=None)
    assert language_model_loss(*given) == said and said != language_model_loss(*given, mu=2e-5)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"logits": torch.zeros(4)}, "must be \\(tokens, vocabulary\\)"),
        ({"targets": torch.zeros(3, dtype=torch.int64)}, "targets = .*\\(3,\\)"),
        ({"embeddings": torch.ones(6, 2)}, "must be \\(7, d\\), one row a token"),
        ({"mu": -1.0}, "mu = -1.0"),
        ({"mu": 0.0, "order": 4}, "mu = 0.0"),
        ({"mu": 1.1, "order": 4}, "mu = 1.1"),
        ({"order": 0}, "order = 0"),
    ],
)
def test_bad_input(arguments, words):
    good = {"logits": torch.zeros(4, 7), "targets": torch.tensor(TARGETS), "embeddings": torch.ones(7, 2)}
    with pytest.raises(InputError, match=words):
        language_model_loss(**{**good, **arguments})
