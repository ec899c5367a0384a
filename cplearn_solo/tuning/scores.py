"""Scores by which trials are compared, and the comparison of several trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

Scores = dict[str, float]  # of one trial, by name


@dataclass(frozen=True)
class Score:
    """``names``: scores of a run that it uses; ``evaluation``: what computes them; ``labels``: whether it needs any."""

    names: tuple[str, ...]
    evaluation: tuple[str, ...]
    about: str
    labels: bool = True

    @property
    def is_rank(self) -> bool:
        """Whether it is a rank among the compared trials, so that lower is better."""
        return len(self.names) > 1


SCORES = {
    "linear_acc1": Score(("linear_acc1",), ("linear",), "accuracy of a converged linear probe"),
    "knn_acc1": Score(("knn_acc1",), ("knn",), "accuracy of the k nearest neighbours"),
    "kmeans_ami": Score(("kmeans_ami",), ("clustering",), "AMI of k-means clusters with classes"),
    "mean_rank": Score(
        ("linear_acc1", "knn_acc1", "kmeans_ami"),
        ("linear", "knn", "clustering"),
        "mean rank by linear probe, nearest neighbours and k-means AMI among the trials of as many epochs",
    ),
    "rankme": Score(("rankme",), (), "RankMe, effective rank without centring, which needs no labels", labels=False),
}


def standings(score: Score, found: Sequence[Scores]) -> list[float]:
    """A number for each trial, larger for better ones: the score, or minus the mean of its ranks."""
    columns = [[scores[name] for scores in found] for name in score.names]
    if not score.is_rank:
        return columns[0]
    return [-mean(ranks) for ranks in zip(*map(_ranks, columns))]


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks, 1 for the largest value; equal values share the mean of their ranks."""
    return [1 + sum(v > value for v in values) + (values.count(value) - 1) / 2 for value in values]
