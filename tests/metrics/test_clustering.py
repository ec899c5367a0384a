from __future__ import annotations

import math
import warnings
from collections import Counter
from itertools import combinations, permutations

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torchmetrics import clustering as reference

from cplearn_solo import metrics
from cplearn_solo.core.errors import InputError

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 4, 60)
CODES = np.where(RNG.random(60) < 0.6, LABELS, RNG.integers(0, 5, 60))  # informative but noisy
PAIRWISE = [metrics.nmi, metrics.nmi_at_chance, metrics.ami, metrics.ari, metrics.cluster_accuracy]


def entropy(items) -> float:
    items = list(items)
    return -sum(c / len(items) * math.log(c / len(items)) for c in Counter(items).values())


def loop_nmi(codes, labels) -> float:
    h_codes, h_labels = entropy(codes), entropy(labels)
    mutual = h_codes + h_labels - entropy(zip(codes, labels, strict=True))
    return 2 * mutual / (h_codes + h_labels)


def loop_ari(codes, labels) -> float:
    pairs = list(combinations(range(len(codes)), 2))
    both = sum(codes[i] == codes[j] and labels[i] == labels[j] for i, j in pairs)
    in_codes, in_labels = (sum(x[i] == x[j] for i, j in pairs) for x in (codes, labels))
    expected = in_codes * in_labels / len(pairs)
    return (both - expected) / ((in_codes + in_labels) / 2 - expected)


def test_against_loops() -> None:
    codes, labels = CODES.tolist(), LABELS.tolist()
    assert metrics.nmi(CODES, LABELS) == pytest.approx(loop_nmi(codes, labels))
    assert metrics.ari(CODES, LABELS) == pytest.approx(loop_ari(codes, labels))
    matches = permutations(range(5), 4)  # the code of each class
    best = max(sum(match[y] == c for c, y in zip(codes, labels, strict=True)) for match in matches)
    assert metrics.cluster_accuracy(CODES, LABELS) == best / len(labels)
    assert metrics.codes_used(CODES) == len(set(codes))


def test_against_torchmetrics() -> None:
    codes, labels = torch.from_numpy(CODES), torch.from_numpy(LABELS)
    assert metrics.nmi(codes, labels) == pytest.approx(
        float(reference.NormalizedMutualInfoScore("arithmetic")(codes, labels)), abs=1e-5
    )
    assert metrics.ami(codes, labels) == pytest.approx(
        float(reference.AdjustedMutualInfoScore("arithmetic")(codes, labels)), abs=1e-5
    )
    assert metrics.ari(codes, labels) == pytest.approx(float(reference.AdjustedRandScore()(codes, labels)), abs=1e-5)


@pytest.mark.parametrize("classes, at_chance", [(10, 0.352), (100, 0.629)])
def test_random_codes_have_nmi_but_no_ami(classes: int, at_chance: float) -> None:
    labels = np.arange(10_000) % classes
    codes = np.random.default_rng(1).integers(0, 16_384, 10_000)
    scores = metrics.clustering_scores(codes, labels)
    assert scores["nmi"] == pytest.approx(at_chance, abs=3e-3)
    assert scores["nmi_chance"] == pytest.approx(at_chance, abs=3e-3)
    assert scores["ami"] == pytest.approx(0, abs=5e-3)
    assert scores["ari"] == pytest.approx(0, abs=5e-3)
    assert "cluster_acc" not in scores  # thousands of codes: absent, not a number


def test_nmi_at_chance_grows_with_codes_and_follows_the_seed() -> None:
    labels = np.arange(1000) % 10
    draw = np.random.default_rng(0)
    chance = [metrics.nmi_at_chance(draw.integers(0, c, 1000), labels) for c in (2, 32, 512)]
    assert chance == sorted(chance)
    assert metrics.nmi_at_chance(CODES, LABELS, seed=3) == metrics.nmi_at_chance(CODES, LABELS, seed=3)
    assert metrics.nmi_at_chance(CODES, LABELS, seed=3) != metrics.nmi_at_chance(CODES, LABELS, seed=4)
    at_seed = metrics.clustering_scores(CODES, LABELS, seed=3)["nmi_chance"]
    assert at_seed == metrics.nmi_at_chance(CODES, LABELS, seed=3)


def test_chance_is_the_mean_over_ten_permutations() -> None:
    rng = np.random.default_rng(0)
    ten = [metrics.nmi(CODES, rng.permutation(LABELS)) for _ in range(10)]
    assert metrics.nmi_at_chance(CODES, LABELS) == pytest.approx(np.mean(ten), rel=1e-12)
    assert metrics.clustering_scores(CODES, LABELS)["nmi_chance"] == metrics.nmi_at_chance(CODES, LABELS, seed=0)


@pytest.mark.parametrize("seed", [0, 3])
def test_kmeans_is_the_best_of_scikit_learns_ten_starts_from_a_seed_and_tells_how_far_it_is(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=(300, 8)).astype(np.float32)
    labels, far = np.arange(300) % 4, []
    found = metrics.kmeans_ami(noise, labels, seed=seed, progress=lambda *call: far.append(call))
    assert found == metrics.ami(KMeans(4, n_init=10, random_state=seed).fit_predict(noise), labels)
    assert found == metrics.kmeans_ami(noise, labels, **({"seed": seed} if seed else {}))
    assert far == [(done, 10) for done in range(1, 11)]


def test_perfect_codes_score_one_whatever_their_names() -> None:
    labels = np.arange(100) % 4
    scores = metrics.clustering_scores(np.array([70_000, 3, 9, 1])[labels], labels)
    assert [scores[key] for key in ("nmi", "ami", "ari", "cluster_acc")] == pytest.approx([1] * 4)
    assert scores["codes_used"] == 4
    assert scores["nmi_chance"] < 0.1


def test_one_code_one_class_and_one_sample() -> None:
    labels, same = np.arange(12) % 3, np.zeros(12, dtype=np.uint16)
    one_code = metrics.clustering_scores(same, labels)
    assert [one_code[key] for key in ("nmi", "nmi_chance", "ami", "ari")] == pytest.approx([0] * 4)
    assert one_code["cluster_acc"] == pytest.approx(1 / 3)
    assert metrics.clustering_scores(labels, same)["nmi"] == 0
    assert metrics.clustering_scores(same, same)["nmi"] == 1
    assert metrics.clustering_scores([5], [0])["cluster_acc"] == 1


@pytest.mark.parametrize("used, present", [(512, True), (513, False)])
def test_cluster_acc_is_there_up_to_512_codes(used: int, present: bool) -> None:
    assert ("cluster_acc" in metrics.clustering_scores(np.arange(used), np.arange(used) % 3)) is present


def test_kmeans_ami() -> None:
    centres = 20 * torch.eye(4, 8)
    labels = torch.arange(200) % 4
    features = centres[labels] + torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
    assert metrics.kmeans_ami(features, labels + 5) == pytest.approx(1)  # the classes present, not 0 to the largest
    assert metrics.kmeans_ami(features.bfloat16(), labels) == pytest.approx(1)
    noise = RNG.normal(size=(300, 8))
    assert abs(metrics.kmeans_ami(noise, np.arange(300) % 4)) < 0.05
    assert metrics.kmeans_ami(noise, np.arange(300) % 4, seed=1) == metrics.kmeans_ami(
        noise, np.arange(300) % 4, seed=1
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert metrics.kmeans_ami(np.ones((12, 3)), np.arange(12) % 3) == pytest.approx(0)


@pytest.mark.parametrize("score", PAIRWISE + [metrics.clustering_scores])
@pytest.mark.parametrize(
    "codes, labels, message",
    [
        ([0, 1], [0, -1], "labels = -1: must be 0 or more"),
        ([-1, 1], [0, 1], "codes = -1: must be 0 or more"),
        ([0, 1], [0], r"labels.shape = \(1,\): must be \(2,\), one for each code"),
        ([], [], r"codes.shape = \(0,\): must be \(n,\) with n >= 1"),
        ([0, 1], [0.0, 1.0], "labels.dtype = torch.float64: must be a type of integers"),
        ([[0, 1]], [[0, 1]], r"codes.shape = \(1, 2\): must be \(n,\)"),
        ([True, False], [0, 1], "codes.dtype = torch.bool: must be a type of integers"),
        ([0, 1], ["cat", "dog"], "labels = list: must be a tensor or an array"),
    ],
)
def test_bad_pairs(score, codes, labels, message: str) -> None:
    with pytest.raises(InputError, match=message):
        score(codes, labels)


def test_other_bad_input() -> None:
    with pytest.raises(InputError, match="permutations = 0: must be an integer from 1"):
        metrics.nmi_at_chance(CODES, LABELS, permutations=0)
    with pytest.raises(InputError, match="codes"):
        metrics.codes_used([])
    with pytest.raises(InputError, match="features = nan: must be finite"):
        metrics.kmeans_ami([[float("nan")], [0.0]], [0, 1])
    with pytest.raises(InputError, match=r"labels.shape = \(1,\): must be \(2,\), one for each row of features"):
        metrics.kmeans_ami([[1.0], [0.0]], [0])
    with pytest.raises(InputError, match="labels = -1: must be 0 or more"):
        metrics.kmeans_ami([[1.0], [0.0]], [0, -1])
