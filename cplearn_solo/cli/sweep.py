"""The table that ``-m`` prints when all of its runs have ended."""

from __future__ import annotations

from statistics import mean, stdev
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cplearn_solo.cli.report import three_places, width

# Scores that are shown, where runs have them, with their headings.
SHOWN = {
    "linear_acc1": "linear",
    "paper_linear_acc1": "paper's",
    "knn_acc1": "kNN",
    "ami": "AMI",
    "kmeans_ami": "k-means",
    "verdict": "verdict",
}


def print_sweep(done: list[tuple[list[str], dict[str, Any]]]) -> None:
    """Prints a row for each run, named by the overrides that vary, and mean and spread of runs that differ in the seed.

    The spread is the sample standard deviation.
    """
    fixed = set.intersection(*(set(given) for given, _ in done))
    columns = [key for key in SHOWN if any(key in summary for _, summary in done)]
    table = Table(title=f"{len(done)} runs", title_justify="left", show_edge=False)
    table.add_column("run", overflow="fold")
    for key in columns:
        table.add_column(SHOWN[key], justify="right")
    groups: dict[str, list[dict[str, Any]]] = {}
    for given, summary in done:
        varied = [text for text in given if text not in fixed]
        table.add_row(escape(" ".join(varied)), *(three_places(summary.get(key)) for key in columns))
        groups.setdefault(" ".join(t for t in varied if not t.startswith("seed=")), []).append(summary)
    for name, summaries in groups.items():
        if len(summaries) > 1:
            table.add_section()
            for word, measure in (("mean", mean), ("spread", stdev)):
                table.add_row(escape(f"{word} {name}".strip()), *(_over(summaries, key, measure) for key in columns))
    Console(width=width()).print(table)


def _over(summaries: list[dict[str, Any]], key: str, measure: Any) -> str:
    values = [summary[key] for summary in summaries if isinstance(summary.get(key), (int, float))]
    return three_places(float(measure(values))) if len(values) > 1 else ""
