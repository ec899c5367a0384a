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
NEARER = 0.1  # a near-duplicate's distance, of the usual distance of a nearest neighbour
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
    """Neighbours of the rows of ``x`` ``(n, d)``, which have length 1, by cosine; of fewer than k others all.

    ``of``: the rows that are asked for, all unless given. ``progress`` is called with how many are done and all.
    """
    of = torch.arange(len(x)) if of is None else of
    k, found, done = min(k, len(x) - 1), [], 0
    step = max(1, min(len(of), BLOCK // len(x)))
    block = x.new_empty(step, len(x))  # once, as fresh memory for each block costs a third of the time
    for rows in of.split(step):
        cosines = torch.mm(x[rows], x.T, out=block[: len(rows)])
        cosines[torch.arange(len(rows)), rows] = -torch.inf
        found.append(cosines.topk(k))
        done += len(rows)
        progress(done, len(of))
    return Near(*map(torch.cat, zip(*found)))


def fits_nowhere(near: Near) -> Tensor:
    """All rows ``(n,)``, those first whose neighbours are the furthest on average."""
    return near.cosines.mean(dim=1).argsort(stable=True)


def near_duplicates(near: Near) -> list[list[int]]:
    """Groups of rows that a chain of near-duplicates joins, the closest group first.

    The distance of two, 1 - cosine, is that of near-duplicates if it is at most a tenth of the median distance of a
    nearest neighbour.
    """
    if not near.cosines.shape[1]:
        return []
    distances = 1 - near.cosines
    close = distances <= max(NEARER * distances[:, 0].median().item(), ROUNDING)
    first, position = (part.numpy() for part in close.nonzero(as_tuple=True))
    second, n = near.rows[first, position].numpy(), len(distances)
    pairs = coo_array((np.ones(len(first), bool), (first, second)), shape=(n, n))
    _, component = connected_components(pairs, directed=False)
    alike = np.unique(np.concatenate([first, second]))
    order = alike[np.argsort(component[alike], kind="stable")]
    groups = np.split(order, np.flatnonzero(np.diff(component[order])) + 1)
    return sorted((group.tolist() for group in groups if len(group)), key=lambda group: distances[group, 0].mean())
