"""The linear probe: how well a linear classifier separates classes by frozen features, independent of their scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from cplearn_solo.evaluation.convex import CONVERGED, TOLERANCE, LogisticRegression, Solution
from cplearn_solo.metrics.accuracy import accuracies
from cplearn_solo.metrics.checks import check_split

HELD_OUT = 10  # one training row in this many is held out to choose on
STRENGTHS = tuple(10.0**-power for power in range(9))  # of the penalty, strongest first
FEW_ROWS_STRENGTH = 1e-2  # if there are too few rows to choose
ROWS = 8192  # rows whose logits are in memory at a time


@dataclass(frozen=True)
class LinearResult:
    """Fractions of rows classified right, 0 to 1; ``acc5`` is None with fewer than 5 classes.

    ``balanced_acc1`` is the mean over classes of each class's fraction. ``l2`` or ``lr`` is the value that was chosen
    among several. ``note`` says what is wrong with the classifier, or is empty.
    """

    acc1: float
    balanced_acc1: float
    acc5: float | None
    train_acc1: float
    l2: float | None = None
    lr: float | None = None
    note: str = ""


@torch.no_grad()
def linear_probe(
    train_x: Any,
    train_y: Any,
    test_x: Any,
    test_y: Any,
    *,
    num_classes: int,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> LinearResult:
    """Logistic regression on ``train_x`` (n, d), ``train_y`` (n,), solved to convergence and scored on the test set.

    Features are standardised by the mean and the deviation of the training rows, so shifting or scaling a dimension
    changes the result only by rounding. The strength of the penalty l2 / 2 ||W||^2 is chosen on a tenth of the training
    rows: it is divided by ten as long as the loss on these rows falls. The classifier that is scored is then trained on
    all rows.

    Labels run from 0 to ``num_classes`` - 1. The features stay on ``device``, and no copy of them is made there.
    ``progress`` is called with (penalties done, penalties at most). Raises ``InputError`` on bad input.
    """
    train_x, train_y, test_x, test_y = check_split(train_x, train_y, test_x, test_y, num_classes)
    train_x, train_y, test_x, test_y = (tensor.to(device) for tensor in (train_x, train_y, test_x, test_y))
    done, l2, start = 0, FEW_ROWS_STRENGTH, None
    if len(train_x) >= HELD_OUT:
        chosen, _ = held_out_rows(len(train_x), seed)
        others = torch.zeros_like(train_y, dtype=torch.bool).index_fill_(0, chosen.to(device), True)
        problem, best = LogisticRegression(train_x, train_y, num_classes, others), None
        for done, strength in enumerate(STRENGTHS, start=1):
            found = problem.solve(strength, start if best is None else best.weights, tolerance=10 * TOLERANCE)
            if progress:
                progress(done, len(STRENGTHS) + 1)
            if best is not None and found.other_loss >= best.other_loss:
                break
            best, l2 = found, strength
        start = best.weights
    problem = LogisticRegression(train_x, train_y, num_classes)
    found = problem.solve(l2, start)
    if progress:
        progress(len(STRENGTHS) + 1, len(STRENGTHS) + 1)

    def logits(x: Tensor) -> Tensor:
        return F.linear(problem.scale.standardise(x), found.weights[:, :-1], found.weights[:, -1])

    return scored(logits, train_x, train_y, test_x, test_y, num_classes=num_classes, l2=l2, note=_doubt(found))


def held_out_rows(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of a tenth of ``n`` rows, to choose on, and of the others."""
    shuffled = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    return shuffled[: n // HELD_OUT], shuffled[n // HELD_OUT :]


def scored(
    logits: Callable[[Tensor], Tensor],
    train_x: Tensor,
    train_y: Tensor,
    test_x: Tensor,
    test_y: Tensor,
    *,
    num_classes: int,
    **how: Any,
) -> LinearResult:
    """Accuracies of ``logits``, a function from features (n, d) to (n, num_classes); ``how``: other fields of the
    result."""
    top1 = accuracies(best_classes(logits, test_x, k=1)[:, 0], test_y)
    top5 = best_classes(logits, test_x, k=5) == test_y[:, None] if num_classes >= 5 else None
    return LinearResult(
        acc1=top1.of_rows,
        balanced_acc1=top1.of_classes,
        acc5=None if top5 is None else int(top5.sum()) / len(test_y),
        train_acc1=accuracies(best_classes(logits, train_x, k=1)[:, 0], train_y).of_rows,
        **how,
    )


def best_classes(logits: Callable[[Tensor], Tensor], features: Tensor, *, k: int) -> Tensor:
    """The classes (n, k) of the ``k`` largest logits, a block of rows at a time."""
    return torch.cat([logits(x).topk(k).indices for x in features.split(ROWS)])


def _doubt(found: Solution) -> str:
    if found.gradient <= CONVERGED:
        return ""
    return f"not converged: the largest entry of its gradient is {found.gradient:.1g}, more than {CONVERGED:g}"
