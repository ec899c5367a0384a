"""Curves of a grid as PNG: scores over the rows' x or over training, and spectra of embeddings."""

from __future__ import annotations

import io
from collections.abc import Sequence
from statistics import mean

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from cplearn_solo.evaluation.reference_rows import REFERENCE_ROWS
from cplearn_solo.tables.paper import published
from cplearn_solo.tables.plan import Grid
from cplearn_solo.tables.results import Found
from cplearn_solo.tables.schema import Metric
from cplearn_solo.tables.scores import Line, companion, companions, lines, paper_column

# Companions that share the axis of a score, because they are of the same kind.
PLOTTED = {
    "nmi": {"nmi_chance", "ami", "kmeans_ami"},
    "linear_acc1": {"knn_acc1"},
    "paper_linear_acc1": {"linear_acc1", "knn_acc1", "knn_cosine_acc1"},
}

SMALLEST = 1e-16  # smallest value on a logarithmic axis


def curves(grid: Grid, found: Found) -> dict[str, bytes]:
    """Contents of PNG files by name; empty if the table has no plot or nothing has been run."""
    if grid.table.plot is None or not any("summary" in record for record in found.records.values()):
        return {}
    draw = {"rows": _over_rows, "epochs": _over_epochs, "spectrum": _spectra}[grid.table.plot]
    by_column = lines(grid, found)
    return {f"{column}.png": _png(draw(grid, column, in_column)) for column, in_column in by_column.items()}


def _over_rows(grid: Grid, column: str, in_column: Sequence[Line]) -> Figure:
    figure, panels = _panels(grid, column, len(grid.metrics))
    for panel, (name, metric) in zip(panels, grid.metrics.items()):
        axes = panel.subplots()
        _points(grid, in_column, axes, metric)
        _paper_points(grid, column, axes, metric.paper or name)
        scale = "log" if grid.table.x_log else "linear"
        _finish(panel, axes, xlabel=grid.table.x_label, ylabel=_label(metric), xscale=scale)
    return figure


def _points(grid: Grid, in_column: Sequence[Line], axes: Axes, metric: Metric) -> None:
    x = {row.name: row.x for row in grid.table.rows}
    beside = [key for key in companions(metric, in_column) if key in PLOTTED.get(metric.key or "", ())]
    for key in (metric.key, *beside):
        points = [(x[line.row], line.score(key)) for line in in_column if line.row in x]
        points = [(at, score) for at, score in points if score is not None]
        if points:
            axes.errorbar(
                [at for at, _ in points],
                [score.mean * metric.scale for _, score in points],
                [(score.spread or 0) * metric.scale for _, score in points],
                fmt="o-" if key == metric.key else "s--",
                capsize=3,
                label="ours" if key == metric.key else f"ours, {companion(key).heading}",
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


def _over_epochs(grid: Grid, column: str, in_column: Sequence[Line]) -> Figure:
    drawn = [metric for metric in grid.metrics.values() if metric.curve]
    scales = ("linear", "log") if len(drawn) == 1 else ("linear",)  # both for a single score, to show early epochs too
    figure, panels = _panels(grid, column, len(drawn) * len(scales))
    for panel, (metric, scale) in zip(panels, [(metric, scale) for metric in drawn for scale in scales]):
        axes = panel.subplots()
        for line in in_column:
            if values := _mean_curve(line, metric.curve):
                axes.plot(_epochs(line, len(values)), [value * metric.scale for value in values], label=line.row)
        _finish(panel, axes, xlabel="epoch", ylabel=_label(metric), xscale=scale)
    return figure


def _spectra(grid: Grid, column: str, in_column: Sequence[Line]) -> Figure:
    figure, (panel,) = _panels(grid, column, 1)
    axes = panel.subplots()
    for line in in_column:
        if values := _mean_curve(line, "embeddings_spectrum"):
            axes.plot(range(1, len(values) + 1), [max(value, SMALLEST) for value in values], label=line.row)
    _finish(panel, axes, xlabel="direction, by its rank", ylabel="singular value of the covariance", yscale="log")
    return figure


def _mean_curve(line: Line, name: str | None) -> list[float]:
    """Mean over runs at each place of the curve that all runs have."""
    runs = [record["curves"][name] for record in line.records if name in record.get("curves", ())]
    return [mean(values) for values in zip(*runs)]


def _epochs(line: Line, count: int) -> list[float]:
    """The epochs of a curve of ``count`` values: those of kept checkpoints if their number fits, else all."""
    kept = _mean_curve(line, "kept_epochs")
    return kept if len(kept) == count else list(range(1, count + 1))


def _panels(grid: Grid, column: str, count: int) -> tuple[Figure, Sequence[SubFigure]]:
    figure = Figure(figsize=(5.5 * count, 4.5), layout="constrained")
    figure.suptitle(f"{grid.table.title}, {grid.columns[column].label}, scale {grid.request.scale}")
    return figure, figure.subfigures(1, count, squeeze=False)[0]


def _finish(panel: SubFigure, axes: Axes, **names: str) -> None:
    """Sets names and scales of the axes, and a legend below them, for which the layout makes room."""
    axes.set(**names)
    axes.grid(alpha=0.3)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        panel.legend(handles, labels, fontsize="small", loc="outside lower center", ncol=2)


def _label(metric: Metric) -> str:
    return f"{metric.label}{f' [{metric.unit}]' if metric.unit else ''}"


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    return file.getvalue()
