"""Fractions of rows that are classified right, over all rows and over classes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Accuracies(NamedTuple):
    """Fraction of all rows that are right, 0 to 1, and the mean over classes of each class's fraction (balanced)."""

    of_rows: float
    of_classes: float


def accuracies(found: Tensor, labels: Tensor) -> Accuracies:
    """Of predicted classes ``found`` (n,) against ``labels`` (n,) int64; classes without a row do not count.

    >>> accuracies(torch.tensor([0, 0, 0, 0]), torch.tensor([0, 0, 0, 2]))
    Accuracies(of_rows=0.75, of_classes=0.5)
    """
    rows = torch.bincount(labels)
    right = torch.bincount(labels[found == labels], minlength=len(rows))
    by_class = right[rows > 0].double() / rows[rows > 0]
    return Accuracies(int(right.sum()) / len(labels), float(by_class.mean()))


def balanced(labels: Tensor) -> bool:
    """Whether the classes that occur in ``labels`` (n,), n >= 1, have about equally many rows, so that both accuracies
    are about equal.

    The largest class has at most 10 % more rows than the smallest.
    """
    counts = labels.unique(return_counts=True)[1]
    return bool(counts.max() <= 1.1 * counts.min())
