"""What a model makes of images."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Seen:
    """What a model makes of the n images that can be read.

    ``codes`` ``(n,)`` and ``confidence`` ``(n,)``, the probability of the code, are ``None`` without codes; ``labels``
    ``(n,)`` are -1 where unknown. Of a seeded choice of m images, ``features`` ``(m, d)`` are kept; ``kept`` ``(m,)``
    says which of the n these are, and ``rows`` ``(m,)`` which of all images.
    """

    codes: Tensor | None
    confidence: Tensor | None
    labels: Tensor
    kept: Tensor
    rows: Tensor
    features: Tensor
    unreadable: int

    def __len__(self) -> int:
        return len(self.labels)

    def directions(self) -> Tensor:
        """The kept features around their mean, at length 1: their products are the cosines that kNN takes."""
        return F.normalize(self.features - self.features.mean(dim=0))
