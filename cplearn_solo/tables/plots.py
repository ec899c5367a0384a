"""Curves of a grid as PNG: scores over the rows' x, or accuracy over training."""

from __future__ import annotations

import io
from statistics import mean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cplearn_solo.evaluation.reference_rows import REFERENCE_ROWS
from cplearn_solo.tables.paper import published
from cplearn_solo.tables.plan import Grid
from cplearn_solo.tables.results import Found
from cplearn_solo.tables.schema import Metric
from cplearn_solo.tables.scores import COMPANIONS, Line, lines, paper_column

# Companions that are of the same kind as a score, and so share its axis.
PLOTTED = {"nmi": {"nmi_chance", "ami", "kmeans_ami"}, "linear_acc1": {"knn_acc1"}}


def curves(grid: Grid, found: Found) -> dict[str, bytes]:
    """File names and contents; empty where the table is no curve or nothing has been run."""
    if grid.table.plot is None or not any("summary" in record for record in found.records.values()):
        return {}
    draw = {"rows": _over_rows, "epochs": _over_epochs}[grid.table.plot]
    return {
        f"{column}.png": _png(draw(grid, column, in_column)) for column, in_column in _by_column(grid, found).items()
    }


def _by_column(grid: Grid, found: Found) -> dict[str, list[Line]]:
    columns: dict[str, list[Line]] = {}
    for line in lines(grid, found):
        columns.setdefault(line.column, []).append(line)
    return columns


def _over_rows(grid: Grid, column: str, in_column: list[Line]) -> Figure:
    figure = Figure(figsize=(5.5 * len(grid.table.metrics), 4), layout="constrained")
    panels = figure.subplots(1, len(grid.table.metrics), squeeze=False)[0]
    for axes, (name, metric) in zip(panels, grid.table.metrics.items()):
        _points(grid, in_column, axes, metric)
        _paper_points(grid, column, axes, name)
        axes.set(
            title=f"{metric.label}{f' [{metric.unit}]' if metric.unit else ''}",
            xlabel=grid.table.x_label,
            xscale="log" if grid.table.x_log else "linear",
        )
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.15), ncol=3)
    figure.suptitle(f"{grid.table.title}, {grid.columns[column].label}, scale {grid.request.scale}")
    return figure


def _points(grid: Grid, in_column: list[Line], axes: Axes, metric: Metric) -> None:
    x = {row.name: row.x for row in grid.table.rows}
    beside = [(key, heading, "s--") for key, heading, _ in COMPANIONS.get(metric.key, ()) if key in PLOTTED[metric.key]]
    for key, label, style in [(metric.key, metric.label, "o-"), *beside]:
        points = [(x[line.row], line.score(key)) for line in in_column if line.row in x]
        points = [(at, score) for at, score in points if score is not None]
        if points:
            axes.errorbar(
                [at for at, _ in points],
                [score.mean * metric.scale for _, score in points],
                [(score.spread or 0) * metric.scale for _, score in points],
                fmt=style,
                capsize=3,
                label=f"ours, {label}",
                alpha=1 if key == metric.key else 0.6,
            )
    for line, style in zip([line for line in in_column if line.row in REFERENCE_ROWS], (":", "-.")):
        score = line.score(metric.key)
        if score:
            axes.axhline(score.mean * metric.scale, color="grey", linestyle=style, label=line.row)


def _paper_points(grid: Grid, column: str, axes: Axes, name: str) -> None:
    reference, label, _ = paper_column(grid, column)
    points = [(row.x, published(grid.table, row, reference, name)) for row in grid.table.rows]
    points = [(at, *printed) for at, printed in points if printed]
    if points:
        at, values, spreads = zip(*points)
        axes.errorbar(at, values, [s or 0 for s in spreads], fmt="k^", capsize=3, label=label)


def _over_epochs(grid: Grid, column: str, in_column: list[Line]) -> Figure:
    figure = Figure(figsize=(11, 4), layout="constrained")
    for axes, scale in zip(figure.subplots(1, 2), ("linear", "log")):
        for line in in_column:
            runs = [r["online_acc1_by_epoch"] for r in line.records if r.get("online_acc1_by_epoch")]
            if runs:
                values = [mean(epoch) for epoch in zip(*runs)]
                axes.plot(range(1, len(values) + 1), values, label=line.row)
        axes.set(xlabel="epoch", ylabel="online linear probe, accuracy", xscale=scale)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.15), ncol=3)
    figure.suptitle(f"{grid.table.title}, {grid.columns[column].label}, scale {grid.request.scale}")
    return figure


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    return file.getvalue()
