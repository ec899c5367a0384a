"""Figures with all groups in the same axes: spectra, entropies, use of codes."""

from __future__ import annotations

import math

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator, ScalarFormatter
from torch import Tensor

from cplearn_solo.collapse.comparison import Comparison
from cplearn_solo.collapse.style import WIDE, empty, group_legends, line_style, mean_curve, panel_title, panels
from cplearn_solo.collapse.subject import PARTS, Subject
from cplearn_solo.core.errors import InputError

PART_NAMES = {"Z": "representation Z", "H": "embeddings H"}
ROUNDING = 1e-12  # share of the largest singular value below which others count as zero


def spectra(comparison: Comparison) -> Figure:
    """Singular values of the covariance, sorted (CPLearn, Figs. 6a, 13a, 14; the 2023 report, Fig. 8)."""
    shown, names = _parts(comparison), {}
    figure, axes = panels(1, len(shown), width=WIDE)
    for ax, part in zip(axes.flat, shown):
        names[ax] = {}
        for i, members in enumerate(comparison.members):
            if any(comparison.protocol.part(subject, part) is None for subject in members):
                continue
            found = [_above_rounding(comparison, subject, part) for subject in members]
            length = min(map(len, found))
            names[ax][i] = comparison.group_names[i] + ("" if length else f": {part} is constant")
            mean_curve(ax, range(1, length + 1), [spectrum[:length] for spectrum in found], i, log=True)
        ax.set(title=PART_NAMES[part], xlabel="index of the singular value", ylabel="singular value", yscale="log")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(alpha=0.3)
    group_legends(figure, names)
    return figure


def _above_rounding(comparison: Comparison, subject: Subject, part: str) -> list[float]:
    try:
        spectrum = comparison.protocol.spectrum(comparison.protocol.part(subject, part)).cpu()
    except InputError:  # constant features cannot be scaled to a range
        return []
    return spectrum[(spectrum > spectrum[0] * ROUNDING) & (spectrum > 0)].tolist()


def entropies(comparison: Comparison) -> Figure:
    """Entropy of a diagonal Gaussian mixture over its number of components (CPLearn, Figs. 6b, 13b, 15)."""
    fitted = {part: _fitted(comparison, part) for part in PARTS}
    if not any(fitted.values()):
        raise InputError(_why_not_fitted(comparison, "Z"))
    shown = _parts(comparison)
    figure, axes = panels(1, len(shown), width=WIDE)
    for ax, part in zip(axes.flat, shown):
        ax.set_title(PART_NAMES[part])
        if not fitted[part]:
            empty(ax, _why_not_fitted(comparison, part))
            continue
        for i, curve in fitted[part].items():
            mean_curve(ax, list(curve), list(zip(*curve.values())), i, marker="o", ms=4)
        ax.set(xlabel="components of the mixture", ylabel="entropy / nats", xscale="log")
        ax.set_xticks(sorted({count for curve in fitted[part].values() for count in curve}))
        ax.xaxis.set_major_formatter(ScalarFormatter())
        ax.xaxis.set_minor_locator(NullLocator())
        ax.margins(x=0.1)
        ax.grid(alpha=0.3)
    group_legends(
        figure,
        {ax: {i: comparison.group_names[i] for i in fitted[part]} for ax, part in zip(axes.flat, shown)},
    )
    return figure


def _fitted(comparison: Comparison, part: str) -> dict[int, dict[int, list[float]]]:
    """Entropies of all members, by index of the group and then by number of components."""
    curves = {}
    for i, group in enumerate(comparison.groups):
        of_members = zip(*(comparison.entropies[part][member] for member in group.members))
        found = {e[0].components: [one.nats for one in e] for e in of_members if all(one.nats is not None for one in e)}
        if found:
            curves[i] = found
    return curves


def _why_not_fitted(comparison: Comparison, part: str) -> str:
    reasons = [e.reason for curve in comparison.entropies[part] for e in curve if e.reason]
    return comparison.protocol.incomparable(comparison.subjects, part) or reasons[0]


def code_usage(comparison: Comparison) -> Figure:
    """Share of samples of each code, most used first; dotted: the share if all codes were used equally.

    Sorted bars for a single subject with codes, curves on logarithmic axes for several.
    """
    coded = {i: found for i, found in enumerate(comparison.members) if all(s.codes is not None for s in found)}
    if not coded:
        raise InputError("no code assignment")
    if len(coded) == 1 and len(members := next(iter(coded.values()))) == 1:
        return _sorted_bars(members[0], comparison.group_names[next(iter(coded))])
    figure, axes = panels(1, 1, width=WIDE)
    ax, names = axes[0, 0], {}
    for i, members in coded.items():
        shares = [_shares(subject.codes) for subject in members]
        least, most = min(map(len, shares)), max(map(len, shares))
        mean_curve(ax, range(1, least + 1), [share[:least] for share in shares], i, log=True, drawstyle="steps-mid")
        ax.plot(1, sum(share[0] for share in shares) / len(shares), marker="o", ms=4, color=line_style(i)["color"])
        used = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        if total := members[0].codes_total:
            ax.axhline(_even_share(members[0]), color=line_style(i)["color"], linestyle=":", linewidth=1)
            used += f" of {total:,}"
        names[i] = f"{comparison.group_names[i]}: {used} codes in use"
    ax.set(xlabel="code, most used first", ylabel="share of samples / %", xscale="log", yscale="log")
    ax.set_ylim(10 ** math.floor(math.log10(ax.get_ylim()[0])), 150)  # starts at a power of ten, which has a label
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    ax.grid(alpha=0.3)
    group_legends(figure, {ax: names})
    return figure


def _sorted_bars(subject: Subject, name: str) -> Figure:
    figure, axes = panels(1, 1, width=WIDE)
    ax, shares, colour = axes[0, 0], _shares(subject.codes), line_style(0)["color"]
    ax.stairs(shares, [i + 0.5 for i in range(len(shares) + 1)], fill=True, color=colour)
    of = ""
    if subject.codes_total:
        ax.axhline(_even_share(subject), color="black", linestyle=":", linewidth=1)
        of = f" of {subject.codes_total:,}"
    panel_title(ax, name, f"{len(shares):,}{of} codes in use")
    ax.set(xlabel="code, most used first", ylabel="share of samples / %")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y", alpha=0.3)
    ax.set_axisbelow(True)
    return figure


def _even_share(subject: Subject) -> float:
    """Percentage of samples of each code if the samples were spread over the codes as evenly as possible."""
    return 100 / min(subject.codes_total, len(subject.codes))


def _shares(codes: Tensor) -> list[float]:
    """Percentage of samples of each code in use, largest first."""
    counts = codes.bincount().sort(descending=True).values
    return (100 * counts[counts > 0] / len(codes)).tolist()


def _parts(comparison: Comparison) -> list[str]:
    return [part for part in PARTS if any(subject.part(part) is not None for subject in comparison.subjects)]
