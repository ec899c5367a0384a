"""Figures with a panel for each subject: t-SNE, statistics of dimensions, and training over epochs."""

from __future__ import annotations

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cplearn_solo.album.codes import class_name
from cplearn_solo.collapse.comparison import Comparison
from cplearn_solo.collapse.matrices import adjacency
from cplearn_solo.collapse.style import COLOURS, as_written, empty, grid, legends_below, panel_title, panels
from cplearn_solo.collapse.subject import Subject
from cplearn_solo.collapse.tsne import Map
from cplearn_solo.core.errors import InputError

UNLABELLED = "#7F7F7F"
LONGEST_CLASS = 16  # characters of a class's name in a legend
# columns train_... of metrics.csv that are neither the loss nor a part of it
NOT_LOSS = ("acc1", "images", "seconds", "waiting", "probe_loss", "codes_used", "features_std")
NOT_LOSS += ("beta", "bound_gap", "assignment_entropy", "mean_entropy", "prior_entropy", "taylor_norm", "embedding_std")


def tsne(comparison: Comparison) -> Figure:
    """t-SNE of the representation, coloured by class, or else by code (Matrix-SSL, Fig. 2)."""
    if all(isinstance(found, str) for found in comparison.maps):
        raise InputError(comparison.maps[0])
    figure, axes = grid(len(comparison.maps))
    handles = {}
    for ax, found, (subject, name) in zip(axes, comparison.maps, comparison.examples):
        handles[ax] = _scatter(ax, found, subject)
        panel_title(ax, name)
    legends_below(figure, handles)
    return figure


def statistics(comparison: Comparison) -> Figure:
    """Mean and standard deviation of each dimension of the representation (CPLearn, Fig. 7)."""
    figure, axes = grid(len(comparison.examples))
    for ax, (subject, name) in zip(axes, comparison.examples):
        z = subject.features.double().numpy()
        mean, std = z.mean(axis=0), z.std(axis=0)
        dimensions = range(len(mean))
        ax.fill_between(dimensions, mean - std, mean + std, color=COLOURS[4], alpha=0.5, linewidth=0)
        ax.plot(dimensions, mean, color=COLOURS[0], linewidth=0.8)
        panel_title(ax, name)
        ax.set_xlabel("dimension of Z", fontsize=8)
        ax.set_ylabel("mean ± standard deviation", fontsize=8)
        ax.margins(x=0)
    return figure


def training(comparison: Comparison) -> Figure:
    """Loss and its parts over epochs, adjacency and t-SNE, with a row for each run (CPLearn, Fig. 12)."""
    runs = [(*example, found) for example, found in zip(comparison.examples, comparison.maps) if example[0].rows]
    if not runs:
        raise InputError("no run folder with a metrics.csv: there is no training to show")
    figure, axes = panels(len(runs), 3, width=3.8)
    handles = {}
    for (loss, blocks, cloud), (subject, name, found) in zip(axes, runs):
        _losses(loss, subject)
        panel_title(loss, name)
        adjacency(blocks, subject, seed=comparison.seed)
        handles[cloud] = _scatter(cloud, found, subject)
        cloud.set_title("t-SNE of Z", fontsize=9)
    legends_below(figure, handles)
    return figure


def _losses(ax: Axes, subject: Subject) -> None:
    names = sorted({key.removeprefix("train_") for row in subject.rows for key in row if key.startswith("train_")})
    for name in sorted(set(names) - set(NOT_LOSS), key=lambda name: (name != "loss", name)):
        epochs = [int(row["epoch"]) + 1 for row in subject.rows if f"train_{name}" in row]
        values = [row[f"train_{name}"] for row in subject.rows if f"train_{name}" in row]
        width = 2.0 if name == "loss" else 1.0
        ax.plot(epochs, values, label=name, linewidth=width, marker="o" if len(epochs) == 1 else None)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("epoch", fontsize=8)
    ax.set_ylabel("training loss", fontsize=8)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=7)


def _scatter(ax: Axes, found: Map | str, subject: Subject) -> list[Line2D]:
    """Draws a map, and returns the entries of its legend: each class or code in it."""
    if isinstance(found, str):
        empty(ax, found)
        return []
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlabel("t-SNE 1", fontsize=8)
    ax.set_ylabel("t-SNE 2", fontsize=8)
    if found.labels is None:
        ax.scatter(*found.points.T.numpy(), c=UNLABELLED, s=4, linewidths=0)
        return []
    kinds, colours = found.labels.unique(return_inverse=True)  # never more than there are colours
    ax.scatter(*found.points.T.numpy(), c=[colormaps["tab10"](i) for i in colours.tolist()], s=4, linewidths=0)
    names = [f"code {kind}" if found.of_codes else class_name(subject.classes, kind) for kind in kinds.tolist()]
    return [
        Line2D(
            [], [], linestyle="", marker="o", ms=5, color=colormaps["tab10"](i), label=as_written(name[:LONGEST_CLASS])
        )
        for i, name in enumerate(names)
    ]
