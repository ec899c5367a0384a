"""What a person reads at the end of a program."""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

NOTES = {
    "wall_seconds": "training, without validation and evaluation",
    "online_acc1": "linear probe trained along the way",
    "linear_acc1": "linear probe, converged, on standardised features",
    "linear_balanced_acc1": "the same, each class counted alike",
    "linear_l2": "its penalty, the best on a tenth of the training images",
    "paper_linear_acc1": "linear probe as the paper trains it; depends on the scale of features",
    "paper_linear_balanced_acc1": "the same, each class counted alike",
    "paper_linear_lr": "the best of several on a tenth of the training images",
    "paper_linear_augmented_acc1": "the same on features of random crops",
    "finetuned_acc1": "backbone and linear classifier trained together",
    "knn_acc1": "weighted k nearest neighbours by cosine around the mean",
    "knn_balanced_acc1": "the same, each class counted alike",
    "knn_cosine_acc1": "by cosine around the origin, as DINO and solo-learn measure it",
    "knn_l2_acc1": "by Euclidean distance",
    "nmi": "codes against classes; grows with the number of codes, read it beside nmi_chance",
    "nmi_chance": "the same codes with labels permuted",
    "released_nmi": "the largest output of the projector in the place of codes, as in the released scripts",
    "released_nmi_chance": "the same with labels permuted",
    "released_ami": "the same, corrected for chance",
    "ami": "codes against classes, corrected for chance",
    "ari": "pairs of images, corrected for chance",
    "cluster_acc": "codes matched one to one with classes",
    "kmeans_ami": "k-means on the representation, corrected for chance",
    "kmeans_standardised_ami": "the same with all dimensions at variance 1",
    "effective_rank": "dimensions the representation makes use of",
    "features_std": "of the representation in the last epoch",
    "verdict": "healthy, or which collapse the embeddings show",
    "loss": "mean of the last epoch",
    "learning_version": "changes when the same configuration learns something else",
    "scores_version": "changes when a score means something else",
}

LONGEST = 24  # characters of a value in the table
WIDE = 120  # columns of what goes to no terminal
REFERENCES = {
    "random_backbone": "random",
    "chance": "chance",
}  # entries of a summary, and the headings of their columns


def width() -> int | None:
    """Columns of tables: those of the terminal, which rich knows, and in a file or a log as many as one may expect."""
    return None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE


def print_scores(title: str, scores: dict[str, Any]) -> None:
    """Names, values and what they mean; sentences stand below, each on a line of its own.

    Scores that chance or a random backbone also has stand in a table of their own, beside these.
    """
    console = Console(width=width())
    sentences = {name: value for name, value in scores.items() if isinstance(value, str) and len(value) > LONGEST}
    shown = {k: value for k, value in scores.items() if k not in sentences and not isinstance(value, dict)}
    references = {heading: scores[key] for key, heading in REFERENCES.items() if scores.get(key)}
    compared = set().union(*references.values())
    rest = {name: value for name, value in shown.items() if name not in compared}
    console.print(_table(rest, {}, title=title))
    if compared:
        print()
        console.print(_table({name: value for name, value in shown.items() if name in compared}, references))
        print("random: a backbone of the same shape with random weights; chance: the most frequent class, random codes")
    for name, sentence in sentences.items():
        print(f"{name}: {sentence}")


def _table(scores: dict[str, Any], references: dict[str, dict[str, Any]], *, title: str | None = None) -> Table:
    table = Table(title=title and escape(title), title_justify="left", show_edge=False)
    table.add_column("score", no_wrap=True)
    for column in ("value", *references):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("what it is")
    for name, value in scores.items():
        beside = (_text(reference.get(name, "")) for reference in references.values())
        table.add_row(name, _text(value), *beside, NOTES.get(name, ""))
    return table


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
