"""t-SNE of the representation (Matrix-SSL, Fig. 2; CPLearn, Fig. 12)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cplearn_solo.collapse.scale import unit_scale
from cplearn_solo.collapse.subject import Subject
from cplearn_solo.metrics.tsne import tsne

MAX_POINTS = 1000  # about a hundred for each of ten classes
MAX_CLASSES = 10  # as many as colours can distinguish


@dataclass(frozen=True)
class Map:
    """``points`` ``(m, 2)`` and the ``labels`` ``(m,)`` of the same samples, if known; they may be codes."""

    points: Tensor
    labels: Tensor | None
    of_codes: bool = False


def map_of(subject: Subject, *, seed: int) -> Map:
    """The subject's :func:`tsne_map`; without labels, that of the ten largest codes."""
    if subject.labels is not None or subject.codes is None:
        return tsne_map(subject.features, subject.labels, seed=seed)
    sizes = subject.codes.bincount()
    largest = sizes.topk(min(MAX_CLASSES, len(sizes))).indices
    codes = torch.where(torch.isin(subject.codes, largest), subject.codes, -1)
    return replace(tsne_map(subject.features, codes, seed=seed), of_codes=True)


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
