"""Figures over training with all groups in the same axes: scale of the representation, class ranks."""

from __future__ import annotations

from statistics import mean, stdev

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter
from torch import Tensor

from cplearn_solo.collapse.comparison import Comparison
from cplearn_solo.collapse.measures import classes
from cplearn_solo.collapse.style import WIDE, group_legends, line_style, mean_curve, panels
from cplearn_solo.collapse.subject import Subject
from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics.intracluster import inter_class_effective_rank, intra_class_effective_rank

SCALE = "train_features_std"  # column of metrics.csv


def scale(comparison: Comparison) -> Figure:
    """Standard deviation of the representation over training (CPLearn, Fig. 7 and Appendix A)."""
    logged = {i: members for i, members in enumerate(comparison.members) if all(map(_has_scale, members))}
    if not logged:
        raise InputError(f"no run with {SCALE} in its metrics.csv")
    figure, axes = panels(1, 1, width=WIDE)
    ax = axes[0, 0]
    for i, members in logged.items():
        epochs = [int(row["epoch"]) + 1 for row in members[0].rows]
        curves = [[row[SCALE] for row in subject.rows] for subject in members]
        mean_curve(ax, epochs, curves, i, log=True, marker="o" if len(epochs) == 1 else None)
    ax.set(xlabel="epoch", ylabel="standard deviation of Z", yscale="log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    low, high = ax.get_ylim()
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter("{x:g}" if high < 10 * low else NullFormatter())
    ax.grid(alpha=0.3)
    group_legends(figure, {ax: {i: comparison.group_names[i] for i in logged}})
    return figure


def _has_scale(subject: Subject) -> bool:
    return bool(subject.rows) and all(row.get(SCALE, 0) > 0 for row in subject.rows)


def class_ranks(comparison: Comparison) -> Figure:
    """Intra- and inter-class effective rank of the representation over training (Matrix-SSL, Fig. 3).

    A group without kept checkpoints is a horizontal line.
    """
    ranks = {"intra-class": intra_class_effective_rank, "inter-class": inter_class_effective_rank}
    labelled = {i: found for i, found in enumerate(comparison.members) if all(map(_labelled, found))}
    if not labelled:
        classes(comparison.subjects[0])  # raises InputError with the reason
    figure, axes = panels(1, 2, width=WIDE)
    kept = {i: _kept_by_all(members) for i, members in labelled.items()}
    for ax, (name, rank) in zip(axes.flat, ranks.items()):
        for i, members in labelled.items():
            known = [_labelled(subject) for subject in members]
            if kept[i]:
                found = [[rank(s.kept[e][rows], y) for e in kept[i]] for s, (rows, y) in zip(members, known)]
                mean_curve(ax, kept[i], found, i, marker="o", ms=4)
                continue
            values = [rank(s.features[rows], y) for s, (rows, y) in zip(members, known)]
            spread = stdev(values) if len(values) > 1 else None
            if any(kept.values()):
                ax.axhline(mean(values), **line_style(i))
            else:
                ax.bar(i, mean(values), yerr=spread, capsize=4, color=line_style(i)["color"])
        ax.set(title=f"{name} effective rank of Z", ylabel="effective rank", ylim=(0, None))
        ax.grid(alpha=0.3, axis="y")
        ax.set_axisbelow(True)
        if any(kept.values()):
            ax.set_xlabel("epoch (horizontal lines: runs without kept checkpoints)")
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        else:
            ax.set_xticks([])
    names = {i: comparison.group_names[i] for i in labelled}
    group_legends(figure, dict.fromkeys(axes.flat, names))
    return figure


def _kept_by_all(members: list[Subject]) -> list[int]:
    """Epochs whose checkpoint all members kept."""
    return sorted(set.intersection(*(set(subject.kept) for subject in members)))


def _labelled(subject: Subject) -> tuple[Tensor, Tensor] | None:
    try:
        return classes(subject)
    except InputError:
        return None
