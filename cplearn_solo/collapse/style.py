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
from matplotlib.transforms import ScaledTranslation
from rich.cells import cell_len

from cplearn_solo.collapse.letters import find_letters

# Okabe & Ito's colours, which colour-blind readers can distinguish, without the yellow, too faint on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F")
STYLES = ("-", "--", "-.", ":")  # gaps show a curve that another one covers
DPI = 150
PANEL = (3.4, 3.0)  # inches of one panel
WIDE = 4.6  # inches of a panel of curves
COLUMNS = 4  # most panels in a row
TITLE = 32  # characters that fit above a panel
LEGEND = {"fontsize": 8, "frameon": False}
LINE, AXIS = 0.18, 0.4  # inches of a legend's line, and of an axis with its label


def line_style(index: int) -> dict[str, object]:
    """Colour and dashes of the group at ``index``, the same in every figure."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": STYLES[index % len(STYLES)]}


def panels(rows: int, columns: int, *, width: float = PANEL[0], height: float = PANEL[1]) -> tuple[Figure, np.ndarray]:
    """A figure of ``rows`` x ``columns`` axes, each of ``width`` x ``height`` inches."""
    figure = Figure(figsize=(width * columns, height * rows + 0.2), dpi=DPI, layout="constrained")
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
    """Draws the mean of a group's curves; if there are several, with a band of one sample standard deviation each side.

    ``index``: of the group. ``log``: mean and deviation are of logarithms, for a logarithmic axis.
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
    """Writes the name of a subject above its panel, in as many lines as it needs, and ``more`` below."""
    letters = TITLE * len(name) // max(cell_len(name), 1)  # wide scripts fit half as many
    ax.set_title("\n".join([*map(as_written, wrap(name, letters)), *filter(None, [more])]), fontsize=9)


def as_written(text: str) -> str:
    """``text`` escaped so that matplotlib shows it unchanged: dollars in names begin no formula."""
    return text.replace("$", r"\$")


def empty(ax: Axes, reason: str) -> None:
    """Makes an empty panel that shows the reason."""
    ax.set_xticks([])
    ax.set_yticks([])
    text = as_written("\n".join(wrap(reason, 26)))
    ax.text(0.5, 0.5, text, ha="center", va="center", fontsize=8, transform=ax.transAxes)


def group_legends(figure: Figure, names: dict[Axes, dict[int, str]]) -> None:
    """Adds legends of curves; ``names``: for each panel, the names of its curves by index of the group."""
    handles = {
        ax: [Line2D([], [], label=as_written(name), **line_style(index)) for index, name in shown.items()]
        for ax, shown in names.items()
    }
    legends_below(figure, handles)


def legends_below(figure: Figure, handles: dict[Axes, list[Line2D]]) -> None:
    """Adds one legend below all panels if their entries are equal, else one below each; the figure grows to fit."""
    if not any(handles.values()):
        return
    first, *others = [[handle.get_label() for handle in shown] for shown in handles.values()]
    if all(labels == first for labels in others):
        shown, columns = next(iter(handles.values())), _columns(first, figure.get_figwidth())
        figure.legend(handles=shown, loc="outside lower center", ncols=columns, **LEGEND)
        growth = _lines(first, columns)
    else:
        grid = next(iter(handles)).get_subplotspec().get_gridspec()
        width, lines = figure.get_figwidth() / grid.ncols, 0
        for ax, shown in ((ax, shown) for ax, shown in handles.items() if shown):
            labels = [handle.get_label() for handle in shown]
            columns = _columns(labels, width)
            below = ax.transAxes + ScaledTranslation(0, -AXIS, figure.dpi_scale_trans)
            place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "bbox_transform": below}
            ax.legend(handles=shown, ncols=columns, **place, **LEGEND)
            lines = max(lines, _lines(labels, columns))
        growth = grid.nrows * lines
    figure.set_figheight(figure.get_figheight() + LINE * growth)


def _columns(labels: list[str], inches: float) -> int:
    """The largest number of legend columns that fits."""
    return max(1, min(len(labels), int(inches / (max(map(cell_len, labels)) * 0.075 + 0.6))))


def _lines(labels: list[str], columns: int) -> int:
    return math.ceil(len(labels) / columns)


def png(figure: Figure) -> tuple[bytes, dict[str, str]]:
    """The figure as a PNG file, and the words that no font here has, by the ``[1]``, ``[2]``, ... that replace them."""
    numbers, buffer = find_letters(figure), io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue(), numbers
