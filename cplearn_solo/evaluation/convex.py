"""Multinomial logistic regression of standardised features, solved until its gradient vanishes.

The loss is convex: its minimum is a property of the features and of the strength of regularisation, not of a learning
rate. ``torch.optim.LBFGS`` finds it in coordinates in which the features are decorrelated, so that the number of steps
depends little on how unequal their directions are. Only one block of standardised rows is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from cplearn_solo.metrics.scale import scale_of

TOLERANCE = 1e-5  # the search ends if no entry of the gradient, in decorrelated coordinates, exceeds this
CONVERGED = 1e-3  # up to this, it may end where float32 resolves no smaller loss: accuracies change by < 0.1 %
MAX_STEPS = 300
MAX_DECORRELATED = 4096  # dimensions; with more, a matrix that decorrelates them costs more than it saves
RIDGE = 1e-4  # added to the variance of each direction before division; a dimension has variance 1
BLOCKS = {"cpu": 2**20}  # numbers in a block of rows: as many as a processor's cache holds
BLOCK = 2**26  # the same on other devices, which need more work at once


class Solution(NamedTuple):
    """``weights`` (k, d + 1) of standardised features, the bias last, and their losses and gradient.

    ``loss``: mean cross-entropy of the rows that are trained on, plus the penalty. ``other_loss``: mean cross-entropy
    of the other rows. ``gradient``: largest absolute entry of the gradient.
    """

    weights: Tensor
    loss: float
    other_loss: float
    gradient: float


class LogisticRegression:
    """Mean cross-entropy plus l2 / 2 ||W||^2 of standardised features ``x`` (n, d) with labels ``y`` (n,) below ``k``.

    Biases have no penalty. Rows where ``others`` (n,) is true are scored, but not trained on.
    """

    def __init__(self, x: Tensor, y: Tensor, k: int, others: Tensor | None = None) -> None:
        self.x, self.y, self.k, self.scale = x, y, k, scale_of(x)
        self.trained = torch.ones_like(y, dtype=x.dtype) if others is None else (~others).to(x.dtype)
        self.count = int(self.trained.sum())
        self.rows = max(1, BLOCKS.get(x.device.type, BLOCK) // (x.shape[1] + k))
        self._classes = torch.arange(k, device=x.device)[:, None]
        self._moments = self._second_moments() if x.shape[1] <= MAX_DECORRELATED else None

    def solve(self, l2: float, start: Tensor | None = None, *, tolerance: float = TOLERANCE) -> Solution:
        """The minimum, searched from weights ``start`` (k, d + 1), by default 0."""
        into, back = self._coordinates(l2)
        weights = self.x.new_zeros(self.k, self.x.shape[1] + 1) if start is None else start
        place = _product(weights, into).clone()
        found = Solution(weights, 0.0, 0.0, 0.0)

        @torch.no_grad()
        def closure() -> Tensor:
            nonlocal found
            weights = _product(place, back)
            loss, other_loss, gradient = self._at(weights, l2)
            place.grad = _product(gradient, None if back is None else back.T)
            found = Solution(weights, loss.item(), other_loss.item(), place.grad.abs().max().item())
            return loss

        solver = torch.optim.LBFGS(
            [place], max_iter=MAX_STEPS, tolerance_grad=tolerance, history_size=20, line_search_fn="strong_wolfe"
        )
        solver.step(closure)
        closure()  # the last point that a line search tries need not be its end point
        return found

    def _at(self, weights: Tensor, l2: float) -> tuple[Tensor, Tensor, Tensor]:
        """Loss, loss of the others, and gradient (k, d + 1)."""
        w, b = weights[:, :-1], weights[:, -1:]
        gradient = torch.zeros_like(weights)
        ours, all_of_them = torch.zeros(2, dtype=torch.float64, device=weights.device)
        for z, y, trained in self._blocks():
            # classes along the rows: a softmax over them then works on whole vectors
            logs = torch.addmm(b, w, z.T).log_softmax(dim=0)
            losses = -logs.gather(0, y[None])[0]
            ours, all_of_them = ours + losses @ trained, all_of_them + losses.sum()
            error = logs.exp_().sub_((y == self._classes).to(z.dtype)).mul_(trained)
            gradient[:, :-1].addmm_(error, z)
            gradient[:, -1] += error.sum(dim=1)
        gradient /= self.count
        gradient[:, :-1] += l2 * w
        penalty = l2 / 2 * w.double().square().sum()
        return ours / self.count + penalty, (all_of_them - ours) / max(1, len(self.y) - self.count), gradient

    def _blocks(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Blocks of standardised rows, their labels and whether they are trained on; valid until the next block."""
        buffer = torch.empty_like(self.x[: self.rows])
        for x, y, trained in zip(*(t.split(self.rows) for t in (self.x, self.y, self.trained))):
            yield torch.sub(x, self.scale.mean, out=buffer[: len(x)]).mul_(self.scale.factor), y, trained

    def _second_moments(self) -> Tensor:
        """Covariance of the standardised features, and 1 for the bias: (d + 1, d + 1)."""
        moments = torch.zeros(self.x.shape[1] + 1, self.x.shape[1] + 1).to(self.x)
        for z, _, _ in self._blocks():
            moments[:-1, :-1].addmm_(z.T, z)
        moments[-1, -1] = len(self.x)
        return moments / len(self.x)

    def _coordinates(self, l2: float) -> tuple[Tensor | None, Tensor | None]:
        """Matrices (d + 1, d + 1) into coordinates in which all directions have a similar curvature, and back.

        At equal probabilities the second derivative in the weights of a class is (1 - 1 / k) / k times the covariance,
        and elsewhere about proportional to it.
        """
        if self._moments is None:
            return None, None
        hessian = self._moments.double() / self.k
        hessian.diagonal().add_(l2 + RIDGE / self.k)
        root = torch.linalg.cholesky(hessian)
        unit = torch.eye(len(root), dtype=root.dtype, device=root.device)
        return root.to(self.x.dtype), torch.linalg.solve_triangular(root, unit, upper=False).to(self.x.dtype)


def _product(a: Tensor, b: Tensor | None) -> Tensor:
    return a if b is None else a @ b
