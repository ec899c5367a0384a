"""A linear classifier on frozen features, held in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cplearn_solo.metrics.checks import check_count, check_number, check_split
from cplearn_solo.registry import InputError, unknown

# fused: one call a step instead of many small ones, which dominate the time of a layer this small.
OPTIMIZERS = {
    "adam": partial(torch.optim.Adam, fused=True),
    "sgd": partial(torch.optim.SGD, momentum=0.9, fused=True),
}


@dataclass(frozen=True)
class LinearResult:
    """Fractions of rows right, 0 to 1; ``acc5`` is None with fewer than 5 classes."""

    acc1: float
    acc5: float | None
    train_acc1: float


@torch.no_grad()
def linear_probe(
    train_x: Any,
    train_y: Any,
    test_x: Any,
    test_y: Any,
    *,
    num_classes: int,
    epochs: int = 100,
    lr: float = 1e-2,
    batch_size: int = 256,
    weight_decay: float = 0.0,
    optimizer: str = "adam",
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> LinearResult:
    """Train a linear classifier on ``train_x`` (n, d), ``train_y`` (n,) and score it on the test set.

    The protocol of CPLearn (Appendix I): Adam, learning rate 1e-2 without a schedule, 100 epochs. Labels run
    from 0 to ``num_classes`` - 1. ``optimizer`` is "adam" or "sgd" (momentum 0.9). The features stay on
    ``device``; ``progress`` is called with (epochs done, epochs) after each epoch. Raises
    ``InputError`` on bad input and where ``lr`` makes the weights diverge.
    """
    train_x, train_y, test_x, test_y = check_split(train_x, train_y, test_x, test_y, num_classes)
    check_count("epochs", epochs)
    check_count("batch_size", batch_size)
    check_number("lr", lr)
    check_number("weight_decay", weight_decay, zero=True)
    if optimizer not in OPTIMIZERS:
        raise unknown("optimizer", optimizer, OPTIMIZERS)
    train_x, train_y, test_x, test_y = (tensor.to(device) for tensor in (train_x, train_y, test_x, test_y))

    # The loss is convex, so it starts from zero; only the order of the rows is random, the same on every device.
    weight = torch.zeros(num_classes, train_x.shape[1], device=device)
    bias = torch.zeros(num_classes, device=device)
    optimise = OPTIMIZERS[optimizer]([weight, bias], lr=lr, weight_decay=weight_decay)
    generator = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        for rows in torch.randperm(len(train_x), generator=generator).to(device).split(batch_size):
            x, y = train_x[rows], train_y[rows]
            # The gradient of the mean cross-entropy, by hand: a third faster than autograd for one small layer,
            # and it works where a caller, such as Lightning's validation loop, has switched autograd off.
            error = F.linear(x, weight, bias).softmax(dim=1) - F.one_hot(y, num_classes)
            weight.grad, bias.grad = error.T @ x / len(x), error.mean(dim=0)
            optimise.step()
        if progress is not None:
            progress(epoch + 1, epochs)

    if not (weight.isfinite().all() and bias.isfinite().all()):
        raise InputError(f"lr={lr} made the linear classifier diverge: choose a smaller one")
    return LinearResult(
        acc1=_accuracy(weight, bias, test_x, test_y, k=1),
        acc5=_accuracy(weight, bias, test_x, test_y, k=5) if num_classes >= 5 else None,
        train_acc1=_accuracy(weight, bias, train_x, train_y, k=1),
    )


def _accuracy(weight: Tensor, bias: Tensor, features: Tensor, labels: Tensor, *, k: int) -> float:
    """Fraction of rows whose label is among the ``k`` largest logits, in blocks to bound the memory of the logits."""
    correct = 0
    for x, y in zip(features.split(8192), labels.split(8192), strict=True):
        best = F.linear(x, weight, bias).topk(k).indices
        correct += int((best == y[:, None]).sum())
    return correct / len(labels)
