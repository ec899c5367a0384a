from __future__ import annotations

import inspect
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics import knn_accuracy
from cplearn_solo.metrics.knn import knn_accuracies

RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(5, 6))
TRAIN_Y, TEST_Y = RNG.integers(0, 5, 200), RNG.integers(0, 5, 150)
TRAIN_X = CENTRES[TRAIN_Y] + RNG.normal(size=(200, 6))
TEST_X = CENTRES[TEST_Y] + RNG.normal(size=(150, 6))
SPLIT = (TRAIN_X, TRAIN_Y, TEST_X, TEST_Y)


@pytest.mark.parametrize("k, temperature", [(1, 0.07), (5, 0.07), (20, 0.07), (20, 0.5), (200, 0.1)])
def test_against_scikit_learn(k: int, temperature: float) -> None:
    model = KNeighborsClassifier(
        k, weights=lambda distance: np.exp((1 - distance) / temperature), metric="cosine", algorithm="brute"
    )
    expected = model.fit(TRAIN_X, TRAIN_Y).score(TEST_X, TEST_Y)
    accuracy = knn_accuracy(*SPLIT, k=k, temperature=temperature, nearness="cosine", num_classes=5)
    assert accuracy == pytest.approx(expected, abs=1e-9)
    assert 0.3 < accuracy < 1  # informative, and hard enough to tell settings apart
    mean = TRAIN_X.mean(axis=0)
    expected = model.fit(TRAIN_X - mean, TRAIN_Y).score(TEST_X - mean, TEST_Y)
    centred = knn_accuracy(*SPLIT, k=k, temperature=temperature, num_classes=5)
    assert centred == pytest.approx(expected, abs=1e-9)


def test_what_is_not_said_is_what_kept_scores_were_made_with() -> None:
    """k and temperature of Wu et al. (2018) for few images, which solo-learn and DINO have as defaults, too."""
    parameters = inspect.signature(knn_accuracies).parameters
    said = {name: parameters[name].default for name in ("k", "temperature", "nearness")}
    assert said == {"k": 20, "temperature": 0.07, "nearness": "centred"}


@pytest.mark.parametrize("k", [1, 5, 20, 200])
def test_distances_against_scikit_learn(k: int) -> None:
    expected = KNeighborsClassifier(k, weights="distance").fit(TRAIN_X, TRAIN_Y).score(TEST_X, TEST_Y)
    assert knn_accuracy(*SPLIT, k=k, nearness="l2", num_classes=5) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("nearness", ["centred", "cosine", "l2"])
def test_block_and_scale_do_not_matter_nor_a_shift_unless_the_origin_counts(nearness: str) -> None:
    knn = partial(knn_accuracy, num_classes=5, nearness=nearness)
    whole = knn(*SPLIT)
    for block in (1, 7 * len(TRAIN_X)):  # one row at a time, and seven
        assert knn(*SPLIT, block=block) == whole
    for scale in (1e-3, 1e4):
        assert knn(scale * TRAIN_X, TRAIN_Y, scale * TEST_X, TEST_Y) == whole
    assert (knn(TRAIN_X + 30, TRAIN_Y, TEST_X + 30, TEST_Y) == whole) == (nearness != "cosine")


def test_rows_at_no_distance_outvote_all_others() -> None:
    train, labels = [[0.0], [0.0], [0.1], [0.1], [0.1]], [1, 1, 0, 0, 0]
    assert knn_accuracy(train, labels, [[0.0]], [1], k=5, nearness="l2", num_classes=2) == 1


def test_k_is_clipped_and_a_small_temperature_is_the_nearest_row() -> None:
    assert knn_accuracy(*SPLIT, k=10**6, num_classes=5) == knn_accuracy(*SPLIT, k=200, num_classes=5)
    nearest = knn_accuracy(*SPLIT, k=1, num_classes=5)
    assert knn_accuracy(*SPLIT, k=20, temperature=1e-6, num_classes=5) == nearest


def test_degenerate() -> None:
    assert knn_accuracy([[1.0, 0.0]], [0], [[0.0, 1.0]], [0], num_classes=1) == 1
    assert knn_accuracy(np.zeros((4, 2)), [1] * 4, np.zeros((2, 2)), [1, 0], num_classes=2) == 0.5
    chance = knn_accuracy(TRAIN_X, RNG.integers(0, 5, 200), TEST_X, TEST_Y, num_classes=5)
    assert chance < 0.4


@pytest.mark.parametrize(
    "change, message",
    [
        ({"train_y": TRAIN_Y - 1}, "train_y = -1: must be 0 or more"),
        ({"test_y": TEST_Y + 1}, "test_y = 5: must be below num_classes = 5"),
        ({"test_y": TEST_Y[1:]}, r"test_y.shape = \(149,\): must be \(150,\), one for each row of test_x"),
        ({"test_x": TEST_X[:, 1:]}, r"test_x.shape = \(150, 5\): must be \(n, 6\), with the dimension of train_x"),
        ({"train_x": torch.empty(0, 6), "train_y": []}, r"train_x.shape = \(0, 6\): must be \(n, d\)"),
        ({"test_x": TEST_X * np.nan}, "test_x = nan: must be finite"),
        ({"nearness": "euclidean"}, "unknown nearness 'euclidean': choices are centred, cosine, l2"),
        ({"k": 0}, "k = 0: must be an integer from 1"),
        ({"block": 1.5}, "block = 1.5: must be an integer from 1"),
        ({"num_classes": 0}, "num_classes = 0: must be an integer from 1"),
        ({"temperature": 0}, "temperature = 0: must be a finite number above 0"),
        ({"temperature": float("nan")}, "temperature = nan: must be a finite number above 0"),
    ],
)
def test_bad_input(change: dict, message: str) -> None:
    good = dict(zip(("train_x", "train_y", "test_x", "test_y"), SPLIT, strict=True), num_classes=5)
    with pytest.raises(InputError, match=message):
        knn_accuracy(**good | change)
