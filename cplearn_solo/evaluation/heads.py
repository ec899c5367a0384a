"""Linear classifiers trained together, one for each learning rate, at little more than the cost of one.

They see the same batches, so one product with all their weights gives all logits, and another one all gradients.
Gradients and optimizers are written out: for layers this small autograd and ``torch.optim`` cost more than the
arithmetic, and a caller, such as Lightning's validation loop, may have switched autograd off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class Adam:
    """As ``torch.optim.Adam`` with its defaults, but with a learning rate for each row: ``rates`` (rows, 1)."""

    def __init__(self, weights: Tensor, rates: Tensor) -> None:
        self.weights, self.rates, self.steps = weights, rates, 0
        self.mean, self.square = torch.zeros_like(weights), torch.zeros_like(weights)

    def step(self, gradient: Tensor) -> None:
        self.steps += 1
        self.mean.lerp_(gradient, 1 - 0.9)
        self.square.mul_(0.999).addcmul_(gradient, gradient, value=1 - 0.999)
        spread = self.square.sqrt().mul_((1 - 0.999**self.steps) ** -0.5).add_(1e-8)
        self.weights.sub_((self.mean * (self.rates / (1 - 0.9**self.steps))).div_(spread))


class SGD:
    """As ``torch.optim.SGD`` with momentum 0.9, but with a learning rate for each row: ``rates`` (rows, 1)."""

    def __init__(self, weights: Tensor, rates: Tensor) -> None:
        self.weights, self.rates, self.velocity = weights, rates, torch.zeros_like(weights)

    def step(self, gradient: Tensor) -> None:
        self.weights.sub_(self.velocity.mul_(0.9).add_(gradient) * self.rates)


OPTIMIZERS = {"adam": Adam, "sgd": SGD}


def train_heads(
    x: Tensor,
    y: Tensor,
    rows: Tensor,
    rates: Sequence[float],
    *,
    num_classes: int,
    epochs: int,
    batch_size: int,
    weight_decay: float,
    optimizer: str,
    seed: int,
    epoch_done: Callable[[], None],
) -> Tensor:
    """Weights of one classifier for each of ``rates``: (rates, classes, d + 1), the bias last.

    They are trained on the ``rows`` (m,) of features ``x`` (n, d) and labels ``y`` (n,) by "adam" or "sgd";
    ``epoch_done`` is called after each epoch. The mean cross-entropy is convex, so that they can start from zero. Only
    the order of the rows is random; for one ``seed`` it is the same on every device.
    """
    g, k, d = len(rates), num_classes, x.shape[1]
    weights = x.new_zeros(g * k, d + 1)
    gradient = torch.empty_like(weights)
    step = OPTIMIZERS[optimizer](weights, x.new_tensor(rates).repeat_interleave(k)[:, None]).step
    classes = torch.arange(k, device=x.device)[:, None]
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for batch in rows[torch.randperm(len(rows), generator=generator)].to(x.device).split(batch_size):
            features, labels = x[batch], y[batch]
            # classes along the rows: a softmax over them then works on whole vectors
            logits = torch.addmm(weights[:, d:], weights[:, :d], features.T).view(g, k, -1)
            error = logits.softmax(dim=1).sub_((labels == classes).float()).div_(len(batch)).view(g * k, -1)
            torch.mm(error, features, out=gradient[:, :d])
            torch.sum(error, dim=1, out=gradient[:, d])
            step(gradient.add_(weights, alpha=weight_decay) if weight_decay else gradient)
        epoch_done()
    return weights.view(g, k, d + 1)
