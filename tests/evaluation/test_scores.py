"""Scores of images of few or unequal classes."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from cplearn_solo.config.schema import EvaluationConfig
from cplearn_solo.evaluation import scores
from cplearn_solo.evaluation.scores import all_scores
from cplearn_solo.evaluation.summary import split_scores
from cplearn_solo.inference.features import Features
from cplearn_solo.metrics import accuracies

SIZES = {"num_classes": 3, "codes_total": 4, "seed": 0}


def features(labels, seed=0):
    y = torch.tensor(labels)
    x = torch.nn.functional.one_hot(y.clamp(0), 3) + torch.randn(
        len(y), 3, generator=torch.Generator().manual_seed(seed)
    )
    return Features(x.float(), y, y.clamp(0) % 2)


def test_one_class_has_no_scores_but_a_reason():
    one = features([1] * 12)
    found = all_scores(one, one, EvaluationConfig(), **SIZES)
    assert set(found) == {"left_out", "codes_used", "codes_total", "effective_rank"}
    assert found["left_out"] == "scores of one class, as all would be 1"


def test_scored_images_of_one_class_of_several_have_accuracies():
    found = all_scores(features([0, 1, 2] * 9), features([1] * 12), EvaluationConfig(), **SIZES)
    assert {"linear_acc1", "knn_acc1", "left_out"} <= set(found)
    assert not {"nmi", "ami", "ari", "cluster_acc", "kmeans_ami", "knn_balanced_acc1"} & set(found)


def test_images_are_counted_that_scores_are_of():
    config = SimpleNamespace(evaluation=EvaluationConfig(), trainer={"accelerator": "cpu"}, seed=0)
    for labels, count in (([0, 1, 2] * 4, 12), ([0, 1, -1] * 4, 8), ([-1] * 12, 12)):
        train, test = features([0, 1, 2] * 9), features(labels)
        splits = SimpleNamespace(train=train, probe=train, test=test, name="test")
        found = split_scores(train, test, splits, config, num_classes=3, codes_total=4)
        assert (found["scored_on"], found["scored_images"]) == ("test", count)


def test_scores_that_may_take_long_say_how_far_they_are(monkeypatch):
    far = {}

    @contextmanager
    def shown(title):
        far[title] = []
        yield lambda done, total: far[title].append((done, total))

    monkeypatch.setattr(scores, "shown", shown)
    all_scores(features([0, 1, 2] * 9), features([0, 1, 2] * 4), EvaluationConfig(), **SIZES)
    assert list(far) == ["linear probe", "kNN", "k-means", "the paper's linear probe"]
    assert far["kNN"] == [(12, 36), (24, 36), (36, 36)]
    assert far["k-means"] == [(done, 20) for done in range(1, 21)]
    assert all(done == sorted(done) and done[-1][0] == done[-1][1] for done in far.values())


def test_images_without_labels_have_no_reason_to_tell():
    none = features([-1] * 12)
    assert "left_out" not in all_scores(none, none, EvaluationConfig(), **SIZES)


@pytest.mark.parametrize(
    "labels, unequal", [([0, 1, 2] * 4, False), ([0, 1] * 10 + [2] * 11, False), ([0] * 9 + [1] * 2 + [2], True)]
)
def test_balanced_accuracy_stands_beside_accuracy_where_classes_are_unequal(labels, unequal):
    found = all_scores(features([0, 0, 1, 2] * 9, seed=1), features(labels), EvaluationConfig(), **SIZES)
    assert ("linear_balanced_acc1" in found, "knn_balanced_acc1" in found) == (unequal, unequal)
    assert "left_out" not in found


def test_accuracies_are_those_of_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    labels, found = torch.randint(0, 5, (2, 200), generator=generator)
    labels[labels == 3] = 0
    expected = accuracy_score(labels, found), balanced_accuracy_score(labels[found != 3], found[found != 3])
    assert accuracies(found, labels).of_rows == pytest.approx(expected[0])
    assert accuracies(found[found != 3], labels[found != 3]).of_classes == pytest.approx(expected[1])
