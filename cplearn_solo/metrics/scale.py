"""Mean and scale of features: scores that depend on neither remove them first."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 2**20  # numbers that are in float64 at a time, 8 MB
ROUNDING = 4 * torch.finfo(torch.float32).eps  # relative error of a mean of equal float32 numbers


class Scale(NamedTuple):
    """Mean of each dimension ``(d,)``, and one over its standard deviation, 0 where a dimension does not vary."""

    mean: Tensor
    factor: Tensor

    def standardise(self, features: Tensor) -> Tensor:
        """Features ``(n, d)`` with every dimension at mean 0 and variance 1, or 0 where it does not vary."""
        return (features - self.mean).mul_(self.factor)


@torch.no_grad()
def scale_of(features: Tensor) -> Scale:
    """The scale of features ``(n, d)``, in their dtype. Sums are in float64 and relative to the first row, against
    cancellation."""
    first, n = features[0].double(), len(features)
    total, square = torch.zeros_like(first), torch.zeros_like(first)
    for rows in features.split(max(1, BLOCK // features.shape[1])):
        part = rows.double() - first
        total += part.sum(dim=0)
        square += part.square_().sum(dim=0)
    mean, variance = first + total / n, (square / n - (total / n).square()).clamp_(min=0)
    varies = variance > (ROUNDING * mean).square()
    factor = torch.where(varies, variance.rsqrt(), 0)
    return Scale(mean.to(features.dtype), factor.to(features.dtype))
