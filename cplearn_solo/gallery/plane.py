"""A map of images: those with near representations are near each other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from cplearn_solo.metrics.tsne import MIN_POINTS, tsne

NEIGHBOURS = 15  # that UMAP looks at, its default


class Plane(NamedTuple):
    """``points`` ``(n, 2)`` from 0 to 1, around 0.5 in both directions, and the ``method`` that made them."""

    points: np.ndarray
    method: str


def plane(x: Tensor, *, seed: int) -> Plane:
    """Maps ``x`` ``(n, d)`` by UMAP if it is installed, else by t-SNE; raises ``InputError`` for fewer than 10 rows."""
    values = x.numpy()
    umap = _umap()
    if umap is None or len(values) < MIN_POINTS:
        points, method = tsne(values, seed=seed), "t-SNE"
    else:
        made = umap(n_neighbors=min(NEIGHBOURS, len(values) - 1), random_state=seed, n_jobs=1)
        points, method = made.fit_transform(values), "UMAP"
    low, high = points.min(axis=0), points.max(axis=0)
    return Plane(0.5 + (points - (low + high) / 2) / max((high - low).max(), 1e-12), method)


def _umap() -> type | None:
    try:
        from umap import UMAP
    except ImportError:
        return None
    return UMAP
