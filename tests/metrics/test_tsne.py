"""t-SNE with the setting of every picture here: 50 principal components, perplexity 30, both less for few samples."""

import numpy as np
import pytest

from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics import tsne as module

X = np.random.default_rng(0).normal(size=(120, 60))


@pytest.mark.parametrize(
    ("n", "d", "components", "perplexity"), [(120, 60, 50, 30), (120, 3, 3, 30), (30, 60, 30, 29 / 3), (10, 2, 2, 3)]
)
def test_settings(monkeypatch, n, d, components, perplexity):
    asked = []

    class PCA(module.PCA):
        def __init__(self, n_components, *, random_state):
            asked.append((n_components, random_state))
            super().__init__(n_components, random_state=random_state)

    class Drawn:
        def __init__(self, *, perplexity, random_state):
            asked.append((perplexity, random_state))

        def fit_transform(self, x):
            asked.append(x.shape)
            return x[:, :2]

    monkeypatch.setattr(module, "PCA", PCA)
    monkeypatch.setattr(module, "TSNE", Drawn)
    module.tsne(X[:n, :d], seed=5)
    assert asked == [(components, 5), (pytest.approx(perplexity), 5), (n, components)]


def test_ten_samples_of_two_dimensions_are_enough_and_fewer_are_not():
    assert module.tsne(X[:10, :2], seed=0).shape == (10, 2)
    with pytest.raises(InputError, match="t-SNE needs at least 10 samples, got 9"):
        module.tsne(X[:9], seed=0)
    with pytest.raises(InputError, match="t-SNE needs at least 2 dimensions, got 1"):
        module.tsne(X[:, :1], seed=0)


def test_samples_that_are_the_same_in_float32_are_refused():
    with pytest.raises(InputError, match="all 30 are the same"):
        module.tsne(np.random.default_rng(0).normal(size=(30, 3)) * 1e-30, seed=0)
