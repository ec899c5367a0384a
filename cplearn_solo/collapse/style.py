"""What all figures of the report share: sizes, colours of groups, legends below the axes."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

# Okabe & Ito's colours, which colour-blind readers can distinguish, without the yellow, too faint on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F")
STYLES = ("-", "--", "-.", ":")  # a curve is seen through the gaps of another that covers it
DPI = 150
PANEL = (3.4, 3.0)  # inches of one panel
WIDE = 4.6  # inches of a panel of curves
COLUMNS = 4  # most panels in a row
TITLE = 32  # characters that fit above a panel


def line_style(index: int) -> dict[str, object]:
    """Colour and dashes of the group at ``index``, the same in every figure."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": STYLES[index % len(STYLES)]}


def panels(rows: int, columns: int, *, width: float = PANEL[0], height: float = PANEL[1]) -> tuple[Figure, np.ndarray]:
    """A figure of ``rows`` x ``columns`` axes, each of ``width`` x ``height`` inches."""
    figure = Figure(figsize=(width * columns, height * rows + 0.4), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.tick_params(which="both", labelsize=8)
    return figure, axes


def grid(count: int) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` panels, four to a row."""
    columns = min(count, COLUMNS)
    figure, axes = panels(math.ceil(count / columns), columns)
    for ax in axes.flat[count:]:
        ax.remove()
    return figure, list(axes.flat[:count])


def pairs_of_panels(count: int) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """A figure with ``count`` pairs of panels, one above the other, four pairs to a row."""
    columns = min(count, COLUMNS)
    figure, axes = panels(2 * math.ceil(count / columns), columns, height=1.05 * PANEL[1])
    pairs = [pair for rows in zip(axes[::2], axes[1::2]) for pair in zip(*rows)]
    for ax in (ax for pair in pairs[count:] for ax in pair):
        ax.remove()
    return figure, pairs[:count]


def mean_curve(
    ax: Axes, x: Sequence[float], curves: Sequence[Sequence[float]], index: int, *, log: bool = False, **style: object
) -> None:
    """The mean of a group's curves, and of several a band of one sample standard deviation on each side.

    ``index`` is that of the group. ``log``: both are of logarithms, for a logarithmic axis.
    """
    forth, back = (np.log, np.exp) if log else (np.asarray, np.asarray)
    style = {**line_style(index), **style}
    values = forth(curves)
    mean = values.mean(axis=0)
    ax.plot(x, back(mean), **style)
    if len(values) > 1:
        deviation, step = values.std(axis=0, ddof=1), "mid" if "drawstyle" in style else None
        band = back(mean - deviation), back(mean + deviation)
        ax.fill_between(x, *band, step=step, color=style["color"], alpha=0.2, linewidth=0)


def panel_title(ax: Axes, name: str, more: str = "") -> None:
    """The name of a subject above its panel, in as many lines as it needs, and what else is to be said."""
    ax.set_title("\n".join([*wrap(name, TITLE), *filter(None, [more])]), fontsize=9)


def empty(ax: Axes, reason: str) -> None:
    """An empty panel with the reason why."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.text(0.5, 0.5, "\n".join(wrap(reason, 26)), ha="center", va="center", fontsize=8, transform=ax.transAxes)


def group_legend(figure: Figure, names: dict[int, str]) -> None:
    """One legend below all panels; ``names`` by index of the group."""
    legend_below(figure, [Line2D([], [], label=name, **line_style(index)) for index, name in names.items()])


def legend_below(figure: Figure, handles: list[Line2D]) -> None:
    """A legend below the panels, with as many columns as fit."""
    inches = max(len(handle.get_label()) for handle in handles) * 0.075 + 0.6  # width of one entry
    columns = max(1, min(len(handles), int(figure.get_figwidth() / inches)))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
