"""Which images are near each other, which are nearly the same, and which are near none."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

BLOCK = 2**26  # cosines at a time, 256 MB
NEARER = 0.1  # the largest distance of near-duplicates, over the usual one of the nearest image that is none
ROUNDING = 1e-5  # distance of float32 representations of the same image


class Near(NamedTuple):
    """The k nearest other rows of each of n rows, nearest first: ``cosines`` ``(n, k)`` and ``rows`` ``(n, k)``."""

    cosines: Tensor
    rows: Tensor


def nearest(
    x: Tensor,
    k: int,
    *,
    of: Tensor | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Near:
    """The k nearest rows by cosine to rows of ``x`` ``(n, d)``, which have length 1; all others if these are fewer.

    ``of``: the rows whose neighbours are found, by default all. ``progress`` is called with (rows done, rows in all).
    """
    of = torch.arange(len(x)) if of is None else of
    k, found, done = min(k, len(x) - 1), [], 0
    step = max(1, min(len(of), BLOCK // len(x)))
    block = x.new_empty(step, len(x))  # allocated once: new memory for each block would take a third of the time
    for rows in of.split(step):
        cosines = torch.mm(x[rows], x.T, out=block[: len(rows)])
        cosines[torch.arange(len(rows)), rows] = -torch.inf
        found.append(cosines.topk(k))
        done += len(rows)
        progress(done, len(of))
    return Near(*map(torch.cat, zip(*found)))


def fits_nowhere(near: Near) -> Tensor:
    """All rows ``(n,)``, ordered by the mean distance to their neighbours, largest first."""
    return near.cosines.mean(dim=1).argsort(stable=True)


def near_duplicates(x: Tensor, near: Near) -> list[list[int]]:
    """Groups of rows of ``x`` that chains of near-duplicates join, the closest group first; ``near`` has the neighbours
    of all rows.

    Two rows are near-duplicates if their distance, 1 - cosine, is at most :func:`largest_distance`.
    """
    if not near.cosines.shape[1]:
        return []
    distances, limit = 1 - near.cosines, largest_distance(near)
    close = distances <= limit
    first, position = close.nonzero(as_tuple=True)
    second = near.rows[first, position]
    all_close = close.all(dim=1).nonzero().flatten()  # they may have more near-duplicates than neighbours
    component = _joined(x, _components(len(x), first, second), all_close, limit).numpy()
    alike = torch.cat([first, second]).unique().numpy()
    order = alike[np.argsort(component[alike], kind="stable")]
    groups = np.split(order, np.flatnonzero(np.diff(component[order])) + 1)
    return sorted((group.tolist() for group in groups if len(group)), key=lambda group: distances[group, 0].mean())


def largest_distance(near: Near) -> float:
    """The largest distance of near-duplicates: a tenth of the median distance from a row to the first of its
    neighbours that is no near-duplicate, or to the last one if all are.

    Of several numbers that are so, it is the largest, so that bursts, in which most rows have near-duplicates, do not
    count these as usual neighbours.
    """
    distances = 1 - near.cosines
    last = distances[:, -1:]
    limit = NEARER * last.median().item()
    while (smaller := NEARER * torch.where(distances > limit, distances, last).amin(1).median().item()) < limit:
        limit = smaller
    return max(limit, ROUNDING)


def _joined(x: Tensor, component: Tensor, rows: Tensor, limit: float) -> Tensor:
    """``component`` ``(n,)`` after ``rows`` are joined with all rows within ``limit`` of them."""
    while len(rows):
        joined = []
        for block in rows.split(max(1, BLOCK // len(x))):
            cosines = x[block] @ x.T
            cosines[component[block, None] == component] = -torch.inf
            most, other = cosines.max(dim=1)
            close = 1 - most <= limit
            joined.append((block[close], other[close]))
        rows, others = map(torch.cat, zip(*joined))
        component = _components(len(x), component[rows], component[others])[component]
    return component


def _components(n: int, first: Tensor, second: Tensor) -> Tensor:
    """The number ``(n,)`` of each row's connected component; edges join ``first`` and ``second``."""
    pairs = coo_array((np.ones(len(first), bool), (first.numpy(), second.numpy())), shape=(n, n))
    return torch.from_numpy(connected_components(pairs, directed=False)[1]).long()
