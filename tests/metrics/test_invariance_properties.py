"""What scores do not depend on: names of codes, order of samples, and shift, scale and rotation of features."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cplearn_solo import metrics
from cplearn_solo.metrics import collapse

SEEDS = st.integers(0, 2**32 - 1)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=30), SEEDS)
def test_clustering_scores_depend_on_neither_names_nor_order(pairs, seed):
    random = np.random.default_rng(seed)
    codes, labels = np.array(pairs).T
    order, names = random.permutation(len(pairs)), random.choice(10**6, 6, replace=False)
    for score in (metrics.nmi, metrics.ami, metrics.ari, metrics.cluster_accuracy):
        found = score(codes, labels)
        assert score(names[codes][order], labels[order]) == pytest.approx(found, abs=1e-9)
        assert score(labels, codes) == pytest.approx(found, abs=1e-9)
        assert found <= score(codes, names[codes]) + 1e-9 == pytest.approx(1)
    assert metrics.nmi(codes, labels) >= -1e-9
    assert metrics.cluster_accuracy(codes, labels) >= np.bincount(labels).max() / len(labels) / len(set(codes))


def features(n, d, seed):
    """Random features (n, d) whose dimensions differ in scale, a rotation and a shift of them, all float64."""
    generator = torch.Generator().manual_seed(seed)
    x, turn = (torch.randn(m, d, generator=generator, dtype=torch.float64) for m in (n, d))
    shift, size = torch.randn(d, generator=generator, dtype=torch.float64), 0.1 + torch.arange(d)
    return x * size, torch.linalg.qr(turn).Q, shift


# Which of the measures a shift, and which a rotation, leaves as they are.
MEASURES = {
    metrics.effective_rank: (True, True),
    collapse.stable_rank: (True, True),
    collapse.spectrum_auc: (True, True),
    collapse.rankme: (False, True),
    collapse.spread: (False, True),
    collapse.mean_correlation: (True, False),
}


@given(st.integers(3, 20), st.integers(2, 8), st.floats(-6, 6), st.floats(-3, 3), SEEDS)
def test_ranks_depend_on_directions_only(n, d, scale, distance, seed):
    x, rotation, shift = features(n, d, seed)
    order = np.random.default_rng(seed).permutation(n)
    for measure, (may_shift, may_rotate) in MEASURES.items():
        moved = x + 10**distance * shift if may_shift else x
        moved = moved @ rotation if may_rotate else moved
        found = measure(x)
        assert measure(10**scale * moved[order]) == pytest.approx(found, rel=1e-5)
        if measure is not collapse.spectrum_auc:  # its share of m directions depends on their number
            assert measure(torch.cat([x, x])) == pytest.approx(found, rel=1e-5)
    assert 1 <= collapse.stable_rank(x) <= metrics.effective_rank(x) <= min(n - 1, d) + 1e-9
    assert 1 - 1e-5 <= collapse.rankme(x) <= min(n, d) + 1e-5
    assert 0.5 - 1e-9 <= collapse.spectrum_auc(x) <= 1 and 0 <= collapse.spread(x) <= 1


@given(st.sampled_from(["centred", "l2"]), st.integers(1, 30), st.integers(2, 6), st.integers(-20, 20), SEEDS)
def test_neighbours_depend_on_directions_and_distances_only(nearness, k, d, scale, seed):
    x, rotation, shift = features(50, d, seed)
    random = np.random.default_rng(seed)
    y, order = random.integers(0, 3, 50), random.permutation(30)

    def accuracies(x, order=slice(None)):
        train, settings = (x[:30][order], y[:30][order]), {"k": k, "nearness": nearness, "num_classes": 3}
        return metrics.knn_accuracy(*train, x[30:], y[30:], **settings)

    assert accuracies(2.0**scale * (x + shift) @ rotation, order) == accuracies(x)
