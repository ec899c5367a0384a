"""Figures of matrices: embedding covariance and adjacency, and the dictionary."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from cplearn_solo.collapse.comparison import Comparison
from cplearn_solo.collapse.measures import clustered
from cplearn_solo.collapse.sources import Subject
from cplearn_solo.collapse.style import COLUMNS, PANEL, empty, panels
from cplearn_solo.core.errors import InputError
from cplearn_solo.objective.packed import PackedDictionary

# more rows than a panel has pixels would only blur
MAX_DIMENSIONS = 256
MAX_SAMPLES = 400
MAX_CODES = 300
COUNTED_CODES = 2000  # codes whose products the histogram counts


def covariance_and_adjacency(comparison: Comparison) -> Figure:
    """H^T H and H H^T with samples sorted by code (CPLearn, Figs. 4, 8, 9)."""
    count = len(comparison.subjects)
    columns = min(count, COLUMNS)
    bands = -(-count // columns)
    figure, axes = panels(2 * bands, columns, height=PANEL[1] * 1.05)
    for ax in axes.flat:
        ax.set_visible(False)
    for i, (subject, name) in enumerate(zip(comparison.subjects, comparison.names)):
        above, below = axes[2 * (i // columns), i % columns], axes[2 * (i // columns) + 1, i % columns]
        _covariance(above, subject)
        above.set_title(f"{name}\n{above.get_title()}", fontsize=9)
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
    """Cosines between a seeded choice of samples, sorted by code, by class where there are no codes."""
    order = subject.codes if subject.codes is not None else subject.labels
    chosen = torch.randperm(len(subject.features), generator=torch.Generator().manual_seed(seed))[:MAX_SAMPLES]
    ax.set_visible(True)
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
    ax.set_visible(True)
    image = ax.imshow(matrix.numpy(), cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    ax.set_title(title, fontsize=9)
    ax.set_xlabel(xlabel, fontsize=8)
    ax.set_ylabel(ylabel, fontsize=8)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.8, ticks=[-1, 0, 1])
    bar.ax.tick_params(labelsize=7)


def dictionaries(comparison: Comparison) -> Figure:
    """W^T W / f, and the histogram of its entries (CPLearn, Fig. 3)."""
    shared: list[tuple[PackedDictionary, list[str]]] = []  # each dictionary, and the names of the runs that share it
    for subject, name in zip(comparison.subjects, comparison.names):
        if subject.code_space is not None:
            w = subject.code_space.dictionary
            names = next(
                (names for other, names in shared if w.f == other.f and torch.equal(w.words, other.words)), None
            )
            shared.append((w, [name])) if names is None else names.append(name)
    if not shared:
        raise InputError("no CPLearn run: there is no dictionary")
    columns = min(len(shared), COLUMNS)
    bands = -(-len(shared) // columns)
    figure, axes = panels(2 * bands, columns, height=PANEL[1] * 1.05)
    for ax in axes.flat:
        ax.set_visible(False)
    for k, (w, names) in enumerate(shared):
        f, c = w.f, w.c
        first = w.tile(0, min(c, COUNTED_CODES))  # codes are independent: the first are as good as any
        products = first.T @ first / f
        above, below = axes[2 * (k // columns), k % columns], axes[2 * (k // columns) + 1, k % columns]
        some = "" if c <= MAX_CODES else f", first {MAX_CODES} codes"
        _matrix(above, products[:MAX_CODES, :MAX_CODES], "", "code", "code")
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        above.set_title(f"{names[0]}{more}\nf = {f}, c = {c:,}\nW$^T$W / f{some}", fontsize=9)
        _histogram(below, products, f)
    return figure


def _histogram(ax: Axes, products: Tensor, f: int) -> None:
    ax.set_visible(True)
    # entries are (f - 2 k) / f for whole k: bins of that width hold one value each
    width = 2 / f * max(1, f // 100)
    counts, edges = np.histogram(products.numpy(), bins=np.arange(-1 - width / 2, 1 + width, width))
    ax.stairs(100 * counts / products.numel(), edges, fill=True)
    ax.set_yscale("log")
    ax.set_xlim(-1.05, 1.05)
    ax.set_xlabel("entry of W$^T$W / f", fontsize=8)
    ax.set_ylabel("share of entries / %", fontsize=8)
    ax.yaxis.set_major_formatter("{x:g}")
