"""Current names of scores in older results: a score keeps its name only as long as its meaning."""

from __future__ import annotations

from typing import Any

# Raised when a key of summary.json gets another meaning. Until 0.2.0 the linear probe was the paper's, the online probe
# used raw features, and cosines of neighbours were around the origin.
SCORES_VERSION = 2
OF_VERSION_1 = {
    "linear_acc1": "paper_linear_acc1",
    "linear_balanced_acc1": "paper_linear_balanced_acc1",
    "linear_acc5": "paper_linear_acc5",
    "linear_train_acc1": "paper_linear_train_acc1",
    "knn_acc1": "knn_cosine_acc1",
    "knn_balanced_acc1": "knn_cosine_balanced_acc1",
    "online_acc1": "online_raw_acc1",
}


def current_scores(summary: dict[str, Any]) -> dict[str, Any]:
    """A summary of any release, with the current names of its scores."""
    if summary.get("scores_version", 1) == SCORES_VERSION:
        return summary
    return {OF_VERSION_1.get(key, key): value for key, value in summary.items()}
