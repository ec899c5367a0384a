"""Self-Classifier's objective: labels and classifier learned together, under uniform priors of classes and samples."""

from __future__ import annotations

import torch
from torch import Tensor

from cplearn_solo.core.precision import at_least_float32, without_autocast
from cplearn_solo.losses.shapes import check_views


def self_classifier_loss(z1: Tensor, z2: Tensor, *, tau_row: float = 0.1, tau_col: float = 0.05) -> Tensor:
    """Cross-entropy of two views under uniform priors of classes and samples, mean of both directions, in nats.

    ``z1``, ``z2``: logits ``(n, c)``, row i of each from the same image. The target is softmax(z / tau_col) over the
    batch, with rows scaled to sum 1. The prediction is softmax(z / tau_row) over classes, with columns scaled to sum
    n/c (Amrani et al., Eqs. 7-8). Gradients reach both.

    Raises ``InputError`` for logits that do not match.
    """
    check_views(z1, z2, "logits", "(n, c)")
    n, c = z1.shape
    with without_autocast(z1):
        views = [at_least_float32(z) for z in (z1, z2)]
        targets = [_shares(torch.softmax(z / tau_col, dim=0), dim=1) for z in views]
        predictions = [n / c * _shares(torch.softmax(z / tau_row, dim=1), dim=0) for z in views]
        pairs = ((targets[0], predictions[1]), (targets[1], predictions[0]))
        return torch.stack([-(y * torch.log(p + 1e-8)).sum(dim=1).mean() for y, p in pairs]).mean()


def _shares(x: Tensor, dim: int) -> Tensor:
    """Each entry's share of the sum over ``dim``; ``x`` is not negative, so the sum is its L1 norm."""
    return x / x.sum(dim=dim, keepdim=True).clamp(min=1e-8)
