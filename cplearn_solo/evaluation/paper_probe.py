"""The linear probe as papers train it: by steps of Adam or SGD on raw features, so that their scale matters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from cplearn_solo.config.read_evaluation import learning_rates
from cplearn_solo.core.errors import InputError, require, require_known
from cplearn_solo.evaluation.heads import OPTIMIZERS, train_heads
from cplearn_solo.evaluation.linear import HELD_OUT, LinearResult, best_classes, held_out_rows, scored
from cplearn_solo.metrics.checks import check_count, check_number, check_split


@torch.no_grad()
def paper_probe(
    train_x: Any,
    train_y: Any,
    test_x: Any,
    test_y: Any,
    *,
    num_classes: int,
    epochs: int = 100,
    lr: float | Sequence[float] = 1e-2,
    batch_size: int = 256,
    weight_decay: float = 0.0,
    optimizer: str = "adam",
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> LinearResult:
    """Train a linear classifier on ``train_x`` (n, d), ``train_y`` (n,) and score it on the test set.

    The protocol of CPLearn (Appendix I): Adam, learning rate 1e-2 without a schedule, 100 epochs. With several ``lr``,
    classifiers are trained on nine tenths of the training rows, and the rate with the best accuracy on the other tenth
    is chosen, the first one in a tie. The classifier that is scored is trained with this rate on all rows.

    Labels run from 0 to ``num_classes`` - 1. ``optimizer`` is "adam" or "sgd" (momentum 0.9). The features stay on
    ``device``; ``progress`` is called with (epochs done, epochs in all) after each epoch. Raises ``InputError`` on bad
    input and if ``lr`` makes the weights diverge.
    """
    rates = learning_rates("lr", lr)
    train_x, train_y, test_x, test_y = check_split(train_x, train_y, test_x, test_y, num_classes)
    check_count("epochs", epochs)
    check_count("batch_size", batch_size)
    check_number("weight_decay", weight_decay, zero=True)
    require_known("optimizer", optimizer, OPTIMIZERS)
    train_x, train_y, test_x, test_y = (tensor.to(device) for tensor in (train_x, train_y, test_x, test_y))

    several = len(rates) > 1
    epochs_in_all = 2 * epochs if several else epochs
    epochs_done = 0

    def epoch_done() -> None:
        nonlocal epochs_done
        epochs_done += 1
        if progress:
            progress(epochs_done, epochs_in_all)

    train = partial(
        train_heads, train_x, train_y, num_classes=num_classes, epochs=epochs, batch_size=batch_size, seed=seed,
        weight_decay=weight_decay, optimizer=optimizer, epoch_done=epoch_done,
    )  # fmt: skip
    if several:
        few = f"one number: to choose among several needs {HELD_OUT} training rows, here are {len(train_x)}"
        require(len(train_x) >= HELD_OUT, "lr", lr, few)
        held_out, others = held_out_rows(len(train_x), seed)
        x, y = train_x[held_out.to(device)], train_y[held_out.to(device)]
        reached = [_accuracy(weights, x, y) for weights in train(others, rates)]
        rates = [rates[reached.index(max(reached))]]
    (weights,) = train(torch.arange(len(train_x)), rates)
    if not weights.isfinite().all():
        raise InputError(f"lr = {lr}: must be smaller, the linear classifier diverged")
    split = (train_x, train_y, test_x, test_y)
    return scored(_logits(weights), *split, num_classes=num_classes, lr=rates[0] if several else None)


def _logits(weights: Tensor) -> Callable[[Tensor], Tensor]:
    """The function from features (n, d) to logits (n, classes) by ``weights`` (classes, d + 1)."""
    return lambda x: F.linear(x, weights[:, :-1], weights[:, -1])


def _accuracy(weights: Tensor, features: Tensor, labels: Tensor) -> float:
    """Fraction of rows whose label has the largest logit, 0 if ``weights`` (classes, d + 1) have diverged."""
    if not weights.isfinite().all():
        return 0.0
    return int((best_classes(_logits(weights), features, k=1)[:, 0] == labels).sum()) / len(labels)
