"""Scores of extracted features; one that cannot be computed is absent, never 0."""

from __future__ import annotations

from typing import Any

import torch

from cplearn_solo.config.schema import EvaluationConfig
from cplearn_solo.evaluation.linear import linear_probe
from cplearn_solo.inference.features import Features
from cplearn_solo.metrics import balanced, clustering_scores, codes_used, effective_rank, kmeans_ami, knn_accuracies

EMBEDDED_SAMPLES = 10_000  # rows that the effective rank and k-means look at, a seeded choice where there are more
ONE_CLASS = "scores of one class, as all would be 1"


def linear_scores(train: Features, test: Features, *, num_classes: int, **settings: Any) -> dict[str, Any]:
    """Linear-probe accuracy, and the learning rate if one was chosen; ``settings`` go to :func:`linear_probe`.

    As in :func:`knn_scores`, balanced accuracy is beside it where classes are of unequal size.
    """
    train, test = train.labelled(), test.labelled()
    if _one_class(train, test):
        return {"left_out": ONE_CLASS}
    result = linear_probe(train.x, train.y, test.x, test.y, num_classes=num_classes, **settings)
    scores = {
        "linear_acc1": result.acc1,
        "linear_balanced_acc1": None if balanced(test.y) else result.balanced_acc1,
        "linear_acc5": result.acc5,
        "linear_train_acc1": result.train_acc1,
        "linear_lr": result.lr,
    }
    return {key: value for key, value in scores.items() if value is not None}


def knn_scores(
    train: Features, test: Features, *, num_classes: int, device: torch.device | str = "cpu", **settings: Any
) -> dict[str, Any]:
    """kNN accuracy, worked out on ``device``; ``settings`` go to :func:`knn_accuracies`."""
    train, test = train.labelled(), test.labelled()
    if _one_class(train, test):
        return {"left_out": ONE_CLASS}
    found = knn_accuracies(train.x.to(device), train.y, test.x, test.y, num_classes=num_classes, **settings)
    scores = {"knn_acc1": found.of_rows}
    return scores if balanced(test.y) else {**scores, "knn_balanced_acc1": found.of_classes}


def cluster_scores(test: Features, *, codes_total: int | None, seed: int = 0) -> dict[str, Any]:
    """Scores of the codes, chance included, k-means AMI on the representation, and its effective rank."""
    scores: dict[str, Any] = {}
    known = test.labelled()
    several = known.y.unique().numel() > 1
    if test.codes is not None:
        scores |= clustering_scores(known.codes, known.y, seed=seed) if several else {}
        scores |= {"codes_used": codes_used(test.codes), "codes_total": codes_total}
    chosen = sample(len(known.y), seed)
    if known.y[chosen].unique().numel() > 1:
        scores["kmeans_ami"] = kmeans_ami(known.x[chosen], known.y[chosen], seed=seed)
    scores["effective_rank"] = effective_rank(test.x[sample(len(test.x), seed)])
    return scores if several or not len(known.y) else {**scores, "left_out": ONE_CLASS}


def _one_class(train: Features, test: Features) -> bool:
    """Whether there is nothing to tell apart: any classifier would be right."""
    return torch.cat([train.y, test.y]).unique().numel() < 2


def all_scores(
    train: Features,
    test: Features,
    wanted: EvaluationConfig,
    *,
    num_classes: int,
    codes_total: int | None,
    seed: int,
    device: torch.device | str = "cpu",
) -> dict[str, Any]:
    """What ``wanted`` asks for and the labels allow; probe and neighbours work on ``device``."""
    scores: dict[str, Any] = {}
    labelled = bool((train.y >= 0).any() and (test.y >= 0).any())
    if wanted.linear and labelled:
        scores |= linear_scores(train, test, num_classes=num_classes, seed=seed, device=device)
    if wanted.knn and labelled:
        scores |= knn_scores(train, test, num_classes=num_classes, device=device)
    if wanted.clustering:
        scores |= cluster_scores(test, codes_total=codes_total, seed=seed)
    return scores


def sample(size: int, seed: int) -> torch.Tensor:
    """Indices of at most 10,000 of ``size`` rows, what costly scores look at."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))[:EMBEDDED_SAMPLES]
