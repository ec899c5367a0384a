"""t-SNE of the representation (Matrix-SSL, Fig. 2; CPLearn, Fig. 12)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from cplearn_solo.collapse.scale import unit_scale
from cplearn_solo.core.errors import InputError

MAX_POINTS = 1000  # about a hundred for each of ten classes
MAX_CLASSES = 10  # as many as colours can distinguish
MIN_POINTS = 10
PRINCIPAL = 50  # principal components that t-SNE starts from, as its authors recommend
PERPLEXITY = 30


@dataclass(frozen=True)
class Map:
    """``points`` ``(m, 2)`` and the ``labels`` ``(m,)`` of the same samples, if known."""

    points: Tensor
    labels: Tensor | None


def tsne_map(features: Tensor, labels: Tensor | None, *, seed: int) -> Map:
    """t-SNE of a seeded choice of at most 1,000 samples from the first ten classes.

    ``features`` ``(n, d)``, ``labels`` ``(n,)``. Raises ``InputError`` for constant features and fewer than 10 samples.
    """
    if features.shape[1] < 2:
        raise InputError("t-SNE needs at least 2 dimensions, got 1")
    rows = torch.arange(len(features))
    if labels is not None:
        shown = labels[labels >= 0].unique()[:MAX_CLASSES]
        rows = torch.isin(labels, shown).nonzero().flatten()
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:MAX_POINTS]]
    if len(rows) < MIN_POINTS:
        raise InputError(f"t-SNE needs at least {MIN_POINTS} samples, got {len(rows)}")
    values = unit_scale(features[rows]).float().numpy()
    values = PCA(min(PRINCIPAL, *values.shape), random_state=seed).fit_transform(values)
    points = TSNE(perplexity=min(PERPLEXITY, (len(rows) - 1) / 3), random_state=seed).fit_transform(values)
    return Map(torch.from_numpy(points), None if labels is None else labels[rows])
