"""t-SNE of the representation (Matrix-SSL, Fig. 2; CPLearn, Fig. 12)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cplearn_solo.collapse.scale import unit_scale
from cplearn_solo.metrics.tsne import tsne

MAX_POINTS = 1000  # about a hundred for each of ten classes
MAX_CLASSES = 10  # as many as colours can distinguish


@dataclass(frozen=True)
class Map:
    """``points`` ``(m, 2)`` and the ``labels`` ``(m,)`` of the same samples, if known."""

    points: Tensor
    labels: Tensor | None


def tsne_map(features: Tensor, labels: Tensor | None, *, seed: int) -> Map:
    """t-SNE of a seeded choice of at most 1,000 samples from the first ten classes.

    ``features`` ``(n, d)``, ``labels`` ``(n,)``. Raises ``InputError`` for constant features and fewer than 10 samples.
    """
    rows = torch.arange(len(features))
    if labels is not None:
        shown = labels[labels >= 0].unique()[:MAX_CLASSES]
        rows = torch.isin(labels, shown).nonzero().flatten()
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:MAX_POINTS]]
    points = tsne(unit_scale(features[rows]).float().numpy(), seed=seed)
    return Map(torch.from_numpy(points), None if labels is None else labels[rows])
