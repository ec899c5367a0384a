"""Weighted k-nearest-neighbour classification of frozen features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cplearn_solo.core.errors import require_known
from cplearn_solo.metrics.accuracy import Accuracies, accuracies
from cplearn_solo.metrics.checks import check_count, check_number, check_split

NEARNESS = ("centred", "cosine", "l2")


def knn_accuracy(train_x: Any, train_y: Any, test_x: Any, test_y: Any, **settings: Any) -> float:
    """Fraction of test rows that :func:`knn_accuracies` classifies right, with the same arguments."""
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
    nearness: str = "centred",
    num_classes: int,
    block: int = 2**26,
    progress: Callable[[int, int], None] | None = None,
) -> Accuracies:
    """Accuracies of the weighted vote of the ``k`` nearest training rows of each test row.

    ``nearness`` "cosine" is the protocol of Wu et al. (2018, section 3.4), used by DINO and solo-learn: votes weighted
    by exp(cosine / temperature). The result depends on the origin, and so on a shift of the features. "centred" is the
    same after subtraction of the training rows' mean. "l2" is Euclidean distance with votes weighted by 1 / distance,
    solo-learn's "euclidean". Shifting or scaling all features alike does not change "centred" and "l2"; scaling single
    dimensions changes all three.

    Features are (n, d), labels (n,) from 0 to ``num_classes`` - 1; ``k`` is clipped to the number of training rows.
    Memory: a copy of ``train_x``, and ``block`` similarities (256 MB by default), or one per training row if that is
    more. The work is done on the device of ``train_x``; ``progress`` is called with (test rows done, test rows in all).
    """
    train_x, train_y, test_x, test_y = check_split(train_x, train_y, test_x, test_y, num_classes)
    check_count("k", k)
    check_count("block", block)
    check_number("temperature", temperature)
    require_known("nearness", nearness, NEARNESS)
    device = train_x.device
    train_y, k = train_y.to(device), min(k, len(train_x))
    origin = torch.zeros_like(train_x[0]) if nearness == "cosine" else train_x.mean(dim=0, dtype=torch.float64).float()
    bank = train_x - origin
    if nearness != "l2":
        F.normalize(bank, out=bank)
    squares = bank.square().sum(dim=1)

    found, rows, done = [], max(1, block // len(train_x)), 0
    for x in test_x.split(rows):
        x = x.to(device) - origin
        if nearness == "l2":
            weight, nearest = _by_distance(x, bank, squares, k)
        else:
            similarity, nearest = (F.normalize(x) @ bank.T).topk(k)
            # Relative to the nearest (first), because only ratios matter: exp cannot overflow at a small temperature.
            weight = ((similarity - similarity[:, :1]) / temperature).exp()
        votes = weight.new_zeros(len(x), num_classes).scatter_add_(1, train_y[nearest], weight)
        found.append(votes.argmax(dim=1))
        done += len(x)
        if progress:
            progress(done, len(test_x))
    return accuracies(torch.cat(found), test_y.to(device))


def _by_distance(x: Tensor, bank: Tensor, squares: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Weights (n, k) and indices (n, k) of the nearest rows of ``bank``, whose squared lengths are ``squares``.

    The weight of a row is the smallest distance divided by the row's own; rows at distance 0 share the vote.
    """
    near, nearest = torch.addmm(squares, x, bank.T, beta=-1, alpha=2).topk(k)
    distance = (x.square().sum(dim=1, keepdim=True) - near).clamp_(min=0).sqrt()
    return (distance[:, :1] / distance).nan_to_num(nan=1.0), nearest
