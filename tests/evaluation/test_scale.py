"""A score of a representation does not change when the representation is shifted or scaled, or its name says so."""

import pytest
import torch
from sklearn.datasets import load_digits

from cplearn_solo.config.schema import EvaluationConfig
from cplearn_solo.evaluation.scores import all_scores
from cplearn_solo.evaluation.summary import features_scale
from cplearn_solo.inference.features import Features
from cplearn_solo.metrics.scale import scale_of

X, Y = load_digits(return_X_y=True)
X, Y = torch.tensor(X, dtype=torch.float32) / 16, torch.tensor(Y)
# Their names say what they depend on: the paper's protocol, the origin, the scale.
NAMED = ("paper_linear_", "knn_cosine_")
CHANGES = [(1024.0, 0.0), (2.0**-10, 0.0), (1.0, 8.0), (0.125, -4.0)]
KMEANS = 0.02  # rounding may lead one of its starts elsewhere


def scores(x):
    train, test = (Features(x[rows], Y[rows], Y[rows] // 2) for rows in (slice(0, 600), slice(600, 1000)))
    return all_scores(train, test, EvaluationConfig(), num_classes=10, codes_total=5, seed=0)


@pytest.fixture(scope="module")
def plain():
    return scores(X)


@pytest.mark.parametrize("scale, shift", CHANGES)
def test_scores_keep_their_value_or_their_name_says_why_not(scale, shift, plain):
    changed = scores(X * scale + shift)
    kept = {key: value for key, value in plain.items() if not key.startswith(NAMED)}
    assert {"linear_acc1", "knn_acc1", "knn_l2_acc1", "kmeans_ami", "effective_rank"} <= kept.keys()
    for key, value in kept.items():
        tolerance = KMEANS if "kmeans" in key else 0.0051 if "acc" in key else 1e-3
        assert changed[key] == pytest.approx(value, abs=tolerance), key


def test_the_named_ones_do_change(plain):
    shifted, scaled = scores(X + 8), scores(X * 1024)
    assert shifted["knn_cosine_acc1"] != plain["knn_cosine_acc1"]
    assert scaled["paper_linear_acc1"] != plain["paper_linear_acc1"]


@pytest.mark.parametrize("key", ["linear_acc1", "kmeans_standardised_ami"])
def test_standardised_scores_do_not_depend_on_the_scale_of_single_dimensions_either(key, plain):
    each = 2.0 ** torch.arange(64).remainder(12)
    assert scores(X * each)[key] == pytest.approx(plain[key], abs=KMEANS)


def test_a_paper_probe_that_has_not_converged_is_told(plain):
    assert "paper_linear_note" not in plain
    found = scores(X * 1e-4)
    assert found["paper_linear_note"].startswith("not converged: right on 0.")
    assert found["linear_acc1"] == pytest.approx(plain["linear_acc1"], abs=0.0051)


def test_drift_is_told_from_the_log():
    rows = [{"train_features_std": value} for value in (0.5, 900.0, 400.0)]
    found = features_scale(rows)
    assert found["features_std"] == 400 and "0.5 in the first epoch and of 400 in the last" in found["scale_note"]
    assert "scale_note" in features_scale(rows[::-1])
    assert "scale_note" in features_scale([{"train_features_std": value} for value in (3.0, 30.0)])  # ten times
    assert "scale_note" not in features_scale([{"train_features_std": value} for value in (3.0, 29.9)])
    assert features_scale(rows[1:]) == {"features_std": 400.0} and features_scale([{"epoch": 0}]) == {}


def test_statistics_are_those_of_float64_far_from_the_origin_and_constant_dimensions_are_0():
    x = torch.cat([1e3 + torch.randn(5000, 3), torch.full((5000, 1), 0.1), torch.zeros(5000, 1)], dim=1)
    scale = scale_of(x)
    torch.testing.assert_close(scale.mean.double(), x.double().mean(dim=0), rtol=1e-6, atol=0)
    torch.testing.assert_close(1 / scale.factor[:3].double(), x[:, :3].double().std(dim=0, correction=0))
    assert scale.standardise(x)[:, 3:].abs().max() == 0


@pytest.mark.parametrize(("errors", "varies"), [(3.9, False), (4.1, True)])
def test_four_roundings_of_float32_are_no_variation(errors, varies):
    """Features may have been computed in float32, and their mean is as inexact as the sum of a few of them."""
    away = errors * torch.finfo(torch.float32).eps
    x = torch.tensor([[7 * (1 - away)], [7 * (1 + away)]], dtype=torch.float64)
    assert bool(scale_of(x).factor > 0) == varies


def test_looking_at_the_scale_leaves_features_as_they_are():
    x = torch.randn(9, 3, dtype=torch.float64)
    before = x.clone()
    scale_of(x).standardise(x)
    assert torch.equal(x, before)
