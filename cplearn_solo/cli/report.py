"""What a person reads at the end of a program."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

NOTES = {
    "wall_seconds": "training, without validation and evaluation",
    "online_acc1": "linear probe trained along the way",
    "linear_acc1": "linear probe on frozen features",
    "linear_balanced_acc1": "the same, each class counted alike",
    "linear_lr": "the best of several on a tenth of the training images",
    "knn_acc1": "weighted k nearest neighbours",
    "knn_balanced_acc1": "the same, each class counted alike",
    "nmi": "codes against classes; grows with the number of codes, read it beside nmi_chance",
    "nmi_chance": "the same codes with labels permuted",
    "ami": "codes against classes, corrected for chance",
    "ari": "pairs of images, corrected for chance",
    "cluster_acc": "codes matched one to one with classes",
    "kmeans_ami": "k-means on the representation, corrected for chance",
    "effective_rank": "dimensions the representation makes use of",
    "left_out": "what the images do not allow to measure",
    "verdict": "healthy, or which collapse the embeddings show",
    "verdict_reason": "the number that decided",
    "loss": "mean of the last epoch",
    "learning_version": "changes when the same configuration learns something else",
}


def print_scores(title: str, scores: dict[str, Any]) -> None:
    """A table of names, values and what they mean."""
    table = Table(title=escape(title), title_justify="left", show_edge=False)
    for column in ("score", "value", "what it is"):
        table.add_column(column, justify="right" if column == "value" else "left", no_wrap=column != "what it is")
    for name, value in scores.items():
        if not isinstance(value, dict):
            table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value), NOTES.get(name, ""))
    Console().print(table)
