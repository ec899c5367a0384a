"""Whether two views of an image are recognised as the same image: what training without labels asks for."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from cplearn_solo.core.errors import require
from cplearn_solo.metrics.checks import check_features, check_length


class Measured(NamedTuple):
    """An accuracy, 0 to 1, and its standard error over samples."""

    value: float
    error: float


@torch.no_grad()
def own_view_accuracy(first: Any, second: Any) -> Measured:
    """How often an image's first view is nearer to its own second view than to another image's, over all pairs of the n
    images: 1/2 by chance, also if all features are equal.

    ``first`` and ``second`` ``(n, d)``, n >= 2, are features of the two views, one row per image. Nearness is the
    cosine after subtraction of each view's mean, so that neither a shift nor a scale matters; a tie is half right. The
    result is the area under the ROC curve for telling an image's own view from others by nearness, averaged over
    images. It is more sensitive than how often the own view is the nearest of all n. The error is the standard error
    over images.
    """
    first, second = check_features("first", first).double(), check_features("second", second).double()
    check_length("second", second, len(first), "row of first")
    n = len(first)
    require(n >= 2, "first.shape", tuple(first.shape), "(n, d) with n >= 2")
    first, second = (F.normalize(x - x.mean(dim=0)) for x in (first, second))
    near = first @ second.T
    own = near.diagonal()[:, None]
    right = ((near < own).double() + 0.5 * (near == own).double()).sum(dim=1) - 0.5  # without the own view itself
    each = right / (n - 1)
    return Measured(each.mean().item(), each.std().item() / math.sqrt(n))
