"""The course of a search: scores of trials and the best so far, and how much each key matters."""

from __future__ import annotations

import io
from itertools import accumulate

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cplearn_solo.core.numbers import counted
from cplearn_solo.tuning.record import Record
from cplearn_solo.tuning.sheet import figures


def draw(record: Record, importance: dict[str, float]) -> bytes:
    """A PNG of both panels, or of the first one only if ``importance`` is empty."""
    panels = 2 if importance else 1
    figure = Figure(figsize=(11, 4), layout="constrained")
    course, *keys = figure.subplots(1, panels, squeeze=False)[0]
    _course(course, record)
    for axes in keys:
        _importance(axes, importance)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    return file.getvalue()


def _course(axes: Axes, record: Record) -> None:
    """A colour for each rung: points are trials, the line is the best so far."""
    search = record.search
    better = min if search.rules.score.is_rank else max
    for rung, epochs in enumerate(search.rules.rungs):
        points = figures(search, record.outcomes, rung)
        if not points:
            continue
        numbers, values = list(points), list(points.values())
        (line,) = axes.step(
            numbers, list(accumulate(values, better)), where="post", label=f"best after {counted(epochs, 'epoch')}"
        )
        axes.plot(numbers, values, "o", color=line.get_color(), alpha=0.6)
    if search.rules.score.is_rank:
        axes.invert_yaxis()
    axes.set(xlabel="trial", ylabel=search.request.score)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")


def _importance(axes: Axes, shares: dict[str, float]) -> None:
    names = list(reversed(shares))
    axes.barh(names, [shares[name] for name in names], height=0.6)
    axes.set(xlabel="importance, share", xlim=(0, 1))
    axes.grid(alpha=0.3, axis="x")
    axes.set_axisbelow(True)
