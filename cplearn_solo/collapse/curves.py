"""Figures with all subjects in the same axes: spectra, entropies, class ranks, use of codes."""

from __future__ import annotations

import math

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator, ScalarFormatter
from torch import Tensor

from cplearn_solo.collapse.comparison import PARTS, Comparison, mixed_dimensions, values_of
from cplearn_solo.collapse.measures import classes
from cplearn_solo.collapse.sources import Subject
from cplearn_solo.collapse.style import empty, line_style, panels, subject_legend
from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics.collapse import covariance_spectrum
from cplearn_solo.metrics.intracluster import inter_class_effective_rank, intra_class_effective_rank

PART_NAMES = {"Z": "representation Z", "H": "embeddings H"}
ROUNDING = 1e-12  # share of the largest singular value below which others count as zero
WIDE = 4.6  # inches of a panel of curves


def spectra(comparison: Comparison) -> Figure:
    """Singular values of the centred covariance, sorted (CPLearn, Figs. 6a, 13a, 14; the 2023 report, Fig. 8)."""
    shown, names = _parts(comparison), dict(enumerate(comparison.names))
    figure, axes = panels(1, len(shown), width=WIDE)
    for ax, part in zip(axes.flat, shown):
        for i, subject in enumerate(comparison.subjects):
            if (values := values_of(subject, part)) is None:
                continue
            spectrum = covariance_spectrum(values).cpu()
            spectrum = spectrum[(spectrum > spectrum[0] * ROUNDING) & (spectrum > 0)]
            if not len(spectrum):
                names[i] += f": {part} is constant"
            ax.plot(range(1, len(spectrum) + 1), spectrum.tolist(), **line_style(i))
        ax.set(title=PART_NAMES[part], xlabel="index of the singular value", ylabel="singular value", yscale="log")
        ax.grid(alpha=0.3)
    subject_legend(figure, names)
    return figure


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
            ax.plot(list(curve), list(curve.values()), marker="o", ms=4, **line_style(i))
        ax.set(xlabel="components of the mixture", ylabel="entropy / nats", xscale="log")
        ax.set_xticks(sorted({count for curve in fitted[part].values() for count in curve}))
        ax.xaxis.set_major_formatter(ScalarFormatter())
        ax.xaxis.set_minor_locator(NullLocator())
        ax.margins(x=0.1)
        ax.grid(alpha=0.3)
    subject_legend(figure, dict(enumerate(comparison.names)))
    return figure


def _fitted(comparison: Comparison, part: str) -> dict[int, dict[int, float]]:
    """Entropies by index of the subject, then by number of components."""
    curves = {
        i: {e.components: e.nats for e in curve if e.nats is not None}
        for i, curve in enumerate(comparison.entropies[part])
    }
    return {i: curve for i, curve in curves.items() if curve}


def _why_not_fitted(comparison: Comparison, part: str) -> str:
    reasons = [e.reason for curve in comparison.entropies[part] for e in curve]
    return mixed_dimensions(comparison.subjects, part) or reasons[0]


def class_ranks(comparison: Comparison) -> Figure:
    """Intra- and inter-class effective rank of the representation over training (Matrix-SSL, Fig. 3).

    A subject without kept checkpoints is a horizontal line.
    """
    ranks = {"intra-class": intra_class_effective_rank, "inter-class": inter_class_effective_rank}
    labelled = {i: known for i, s in enumerate(comparison.subjects) if (known := _labelled(s)) is not None}
    if not labelled:
        classes(comparison.subjects[0])  # raises InputError with the reason
    figure, axes = panels(1, 2, width=WIDE)
    over_training = any(comparison.subjects[i].kept for i in labelled)
    for ax, (name, rank) in zip(axes.flat, ranks.items()):
        for i, (known, labels) in labelled.items():
            subject = comparison.subjects[i]
            if subject.kept:
                values = [rank(x[known], labels) for x in subject.kept.values()]
                ax.plot(list(subject.kept), values, marker="o", ms=4, **line_style(i))
            elif over_training:
                ax.axhline(rank(subject.features[known], labels), **line_style(i))
            else:
                ax.bar(comparison.names[i], rank(subject.features[known], labels), color=line_style(i)["color"])
        ax.set(title=f"{name} effective rank of Z", ylabel="effective rank", ylim=(0, None))
        ax.grid(alpha=0.3, axis="y")
        ax.set_axisbelow(True)
        if over_training:
            ax.set_xlabel("epoch (horizontal lines: runs without kept checkpoints)")
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        else:
            ax.set_xticks([])
    subject_legend(figure, {i: comparison.names[i] for i in labelled})
    return figure


def code_usage(comparison: Comparison) -> Figure:
    """Share of samples of each code, most used first; dotted: the share if all codes were used alike."""
    coded = {i: s for i, s in enumerate(comparison.subjects) if s.codes is not None}
    if not coded:
        raise InputError("no code assignment")
    figure, axes = panels(1, 1, width=6.4, height=4.2)
    ax, names = axes[0, 0], {}
    for i, subject in coded.items():
        counts = subject.codes.bincount().sort(descending=True).values
        counts = counts[counts > 0]
        shares = (100 * counts / len(subject.codes)).tolist()
        ax.step(range(1, len(counts) + 1), shares, where="mid", **line_style(i))
        ax.plot(1, shares[0], marker="o", ms=4, color=line_style(i)["color"])  # shows a single code
        used = f"{len(counts):,}"
        if subject.codes_total:
            even = 100 / min(subject.codes_total, len(subject.codes))
            ax.axhline(even, color=line_style(i)["color"], linestyle=":", linewidth=1)
            used += f" of {subject.codes_total:,}"
        names[i] = f"{comparison.names[i]}: {used} codes in use"
    ax.set(xlabel="code, most used first", ylabel="share of samples / %", xscale="log", yscale="log")
    ax.set_ylim(10 ** math.floor(math.log10(ax.get_ylim()[0])), 150)  # from a power of ten, which has a label
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    ax.grid(alpha=0.3)
    subject_legend(figure, names)
    return figure


def _parts(comparison: Comparison) -> list[str]:
    return [part for part in PARTS if any(values_of(s, part) is not None for s in comparison.subjects)]


def _labelled(subject: Subject) -> tuple[Tensor, Tensor] | None:
    try:
        return classes(subject)
    except InputError:
        return None
