"""What a person reads at the end of a program."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cplearn_solo.core.numbers import digits

if TYPE_CHECKING:
    from cplearn_solo.metrics.verdict import Verdict

# At most 28 characters, so that a row is a line in 80 columns.
NOTES = {
    "wall_seconds": "of training alone",
    "online_acc1": "linear probe along the way",
    "linear_acc1": "linear probe, converged",
    "linear_balanced_acc1": "each class counted alike",
    "linear_l2": "penalty of the linear probe",
    "paper_linear_acc1": "linear probe, as the paper's",
    "paper_linear_balanced_acc1": "each class counted alike",
    "paper_linear_lr": "rate of the paper's probe",
    "paper_linear_augmented_acc1": "the same on random crops",
    "finetuned_acc1": "backbone trained with labels",
    "knn_acc1": "neighbours around the mean",
    "knn_balanced_acc1": "each class counted alike",
    "knn_cosine_acc1": "neighbours around the origin",
    "knn_l2_acc1": "neighbours by distance",
    "nmi": "codes and classes; see ami",
    "nmi_chance": "the same, labels permuted",
    "released_nmi": "of the projector's largest",
    "released_nmi_chance": "the same, labels permuted",
    "released_ami": "corrected for chance",
    "ami": "nmi corrected for chance",
    "ari": "pairs, corrected for chance",
    "cluster_acc": "a class for each code",
    "kmeans_ami": "of k-means clusters",
    "kmeans_standardised_ami": "with dimensions alike",
    "probe_images": "that probes learn from",
    "AP": "of boxes, IoU 0.5 to 0.95",
    "AP50": "of boxes, at IoU 0.5",
    "AP75": "of boxes, at IoU 0.75",
    "mask_AP": "of masks, IoU 0.5 to 0.95",
    "effective_rank": "directions in use",
    "own_view_acc": "views of an image recognised",
    "features_std": "of features, last epoch",
    "loss": "mean of the last epoch",
    "learning_version": "of what training does",
    "scores_version": "of what scores mean",
}

LONGEST = 24  # characters of a value in the table
WIDE = 120  # columns of output to a file or log
REFERENCES = {
    "random_backbone": "random",
    "chance": "chance",
}  # entries of a summary, and the headings of their columns


def width() -> int | None:
    """Columns of tables: ``None`` in a terminal, whose width rich knows, and ``WIDE`` in a file or log."""
    return None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE


def three_places(value: Any) -> str:
    """A score in a column of runs: three decimal places, a word or whole number as it is, nothing for ``None``."""
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def print_scores(title: str, scores: dict[str, Any]) -> None:
    """Prints names, values and what they mean; sentences follow below, each on its own line.

    Scores that are also known for chance or a random backbone are in a second table, beside those reference values.
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
        codes = ", random codes" if scores.get("codes_total") else ""
        print(f"random: a backbone of the same shape with random weights; chance: the most frequent class{codes}")
    for name, sentence in sentences.items():
        print(f"{name}: {sentence}")


def print_verdict(verdict: Verdict) -> None:
    """Prints the measures of the verdict beside their limits, and the verdict in one line."""
    table = _columns("measure", "value", "collapsed below", meaning="what a high value means")
    for criterion in verdict.criteria:
        value = verdict.measures.get(criterion.measure)
        shown = "not measured" if value is None else digits(value, 3)
        table.add_row(criterion.measure, shown, f"{criterion.limit:g}", criterion.meaning)
    print()
    Console(width=width()).print(table)
    print(verdict.message)


def _table(scores: dict[str, Any], references: dict[str, dict[str, Any]], *, title: str | None = None) -> Table:
    table = _columns("score", "value", *references, meaning="what it is", title=title and escape(title))
    for name, value in scores.items():
        beside = (_text(reference.get(name, "")) for reference in references.values())
        table.add_row(name, _text(value), *beside, NOTES.get(name, ""))
    return table


def _columns(name: str, *numbers: str, meaning: str, title: str | None = None) -> Table:
    """A table of names, numbers and a text that wraps; without lines between columns, to save width."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column(name, no_wrap=True)
    for column in numbers:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column(meaning)
    return table


def _text(value: Any) -> str:
    return digits(value, 4) if isinstance(value, float) else str(value)
