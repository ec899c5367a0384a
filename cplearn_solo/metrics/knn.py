"""Weighted k-nearest-neighbour classification of frozen features."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from cplearn_solo.metrics.accuracy import Accuracies, accuracies
from cplearn_solo.metrics.checks import check_count, check_number, check_split


def knn_accuracy(train_x: Any, train_y: Any, test_x: Any, test_y: Any, **settings: Any) -> float:
    """Fraction of test rows that are classified right, as :func:`knn_accuracies` does with the same arguments."""
    return knn_accuracies(train_x, train_y, test_x, test_y, **settings).of_rows


@torch.no_grad()
def knn_accuracies(
    train_x: Any,
    train_y: Any,
    test_x: Any,
    test_y: Any,
    *,
    k: int = 20,
    temperature: float = 0.07,
    num_classes: int,
    block: int = 2**26,
) -> Accuracies:
    """How many test rows' ``k`` nearest training rows, weighted by exp(cosine / temperature), vote right.

    The protocol of Wu et al. (2018, section 3.4), used by DINO and solo-learn ("cosine"). Features are
    (n, d), labels (n,) from 0 to ``num_classes`` - 1; ``k`` is clipped to the number of training rows.
    Memory is that of ``train_x`` once more and of ``block`` similarities, 256 MB, or of one per training row if they
    are more; the work is done on the device of ``train_x``.
    """
    train_x, train_y, test_x, test_y = check_split(train_x, train_y, test_x, test_y, num_classes)
    check_count("k", k)
    check_count("block", block)
    check_number("temperature", temperature)
    device = train_x.device
    train_y, bank, k = train_y.to(device), F.normalize(train_x).T, min(k, len(train_x))

    found, rows = [], max(1, block // len(train_x))
    for x in test_x.split(rows):
        similarity, nearest = (F.normalize(x.to(device)) @ bank).topk(k)
        # Relative to the nearest (first), as only ratios matter: exp cannot overflow at a small temperature.
        weight = ((similarity - similarity[:, :1]) / temperature).exp()
        votes = weight.new_zeros(len(x), num_classes).scatter_add_(1, train_y[nearest], weight)
        found.append(votes.argmax(dim=1))
    return accuracies(torch.cat(found), test_y.to(device))
