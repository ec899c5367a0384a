"""Figures of matrices: covariance and adjacency of the embeddings, and the dictionary."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from cplearn_solo.collapse.comparison import Comparison
from cplearn_solo.collapse.measures import clustered
from cplearn_solo.collapse.style import empty, pairs_of_panels, panel_title
from cplearn_solo.collapse.subject import Subject
from cplearn_solo.core.errors import InputError
from cplearn_solo.objective.packed import PackedDictionary

# a panel has few more pixels than these
MAX_DIMENSIONS = 256
MAX_SAMPLES = 400
MAX_CODES = 300
COUNTED_CODES = 2000  # codes whose products the histogram counts


def covariance_and_adjacency(comparison: Comparison) -> Figure:
    """H^T H and H H^T with samples sorted by code (CPLearn, Figs. 4, 8, 9)."""
    figure, pairs = pairs_of_panels(len(comparison.examples))
    for (above, below), (subject, name) in zip(pairs, comparison.examples):
        _covariance(above, subject)
        panel_title(above, name, above.get_title())
        adjacency(below, subject, seed=comparison.seed)
    return figure


def _covariance(ax: Axes, subject: Subject) -> None:
    h = clustered(subject).double()
    covariance = h.T @ h
    shown = min(len(covariance), MAX_DIMENSIONS)
    scaled = covariance[:shown, :shown] / covariance.diagonal().mean().clamp(min=1e-300)
    part = "Z" if subject.embeddings is None else "H"
    some = "" if shown == len(covariance) else f"\nfirst {shown} of {len(covariance)} dimensions"
    _matrix(ax, scaled, f"{part}$^T${part} / mean diagonal{some}", "dimension", "dimension")


def adjacency(ax: Axes, subject: Subject, *, seed: int) -> None:
    """Cosines between a seeded choice of samples, sorted by code, or by class if there are no codes."""
    order = subject.codes if subject.codes is not None else subject.labels
    chosen = torch.randperm(len(subject.features), generator=torch.Generator().manual_seed(seed))[:MAX_SAMPLES]
    if order is None:
        ax.set_box_aspect(1)
        empty(ax, "no adjacency: no codes or labels to sort by")
        return
    chosen = chosen[order[chosen].argsort(stable=True)]
    h = F.normalize(clustered(subject)[chosen].double(), dim=1)
    part = "Z" if subject.embeddings is None else "H"
    by = "code" if subject.codes is not None else "class"
    _matrix(ax, h @ h.T, f"cosines of {part}{part}$^T$, sorted by {by}", "sample", "sample")


def _matrix(ax: Axes, matrix: Tensor, title: str, xlabel: str, ylabel: str) -> None:
    image = ax.imshow(matrix.numpy(), cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    ax.set_title(title, fontsize=9)
    ax.set_xlabel(xlabel, fontsize=8)
    ax.set_ylabel(ylabel, fontsize=8)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.8, ticks=[-1, 0, 1])
    bar.ax.tick_params(labelsize=7)


def dictionary(comparison: Comparison) -> Figure:
    """W^T W / f of each dictionary, and the histogram of its entries (CPLearn, Fig. 3)."""
    found = _dictionaries(comparison)
    if not found:
        raise InputError("no run with a dictionary of codes")
    figure, pairs = pairs_of_panels(len(found))
    for (above, below), (w, names) in zip(pairs, found):
        codes = w.tile(0, min(w.c, COUNTED_CODES))  # codes are independent, so the first represent all
        products = codes.T @ codes / w.f
        _matrix(above, products[:MAX_CODES, :MAX_CODES], "", "code", "code")
        runs = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
        some = "" if w.c <= MAX_CODES else f", first {MAX_CODES} codes"
        panel_title(above, runs, f"f = {w.f}, c = {w.c:,}\nW$^T$W / f{some}")
        _histogram(below, products, w.f)
    return figure


def _dictionaries(comparison: Comparison) -> list[tuple[PackedDictionary, list[str]]]:
    """Each distinct dictionary, and the names of the examples that have it."""
    found: dict[tuple[int, bytes], tuple[PackedDictionary, list[str]]] = {}
    for subject, name in comparison.examples:
        w = None if subject.method is None else subject.method.dictionary
        if w is not None:
            _, names = found.setdefault((w.f, w.words.numpy().tobytes()), (w, []))
            names.append(name)
    return list(found.values())


def _histogram(ax: Axes, products: Tensor, f: int) -> None:
    # entries are (f - 2 k) / f for integers k, so a bin of width 2 / f holds one value
    width = 2 / f * max(1, f // 100)
    counts, edges = np.histogram(products.numpy(), bins=np.arange(-1 - width / 2, 1 + width, width))
    ax.stairs(100 * counts / products.numel(), edges, fill=True)
    ax.set_yscale("log")
    ax.set_xlim(-1.05, 1.05)
    ax.set_xlabel("entry of W$^T$W / f", fontsize=8)
    ax.set_ylabel("share of entries / %", fontsize=8)
    ax.yaxis.set_major_formatter("{x:g}")
