"""Input and output of every implementation of the objective."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cplearn_solo.objective.packed import PackedDictionary


@dataclass(frozen=True)
class LossSpec:
    """All inputs of the objective except the embeddings.

    A rank may hold all samples and a share of the codes (``codes_shared``), or all codes and a share of the samples
    whose mean assignment is matched with the prior (``samples_shared``).
    """

    dictionary: PackedDictionary
    temperature: float
    beta: float | Tensor  # a scalar that is on a GPU stays there, so that nothing waits for it
    log_q: Tensor | float  # (c,), or the one number of the uniform prior
    prior_loss: str
    pairs: list[tuple[int, int]]
    samples: int  # number of samples that share a mean assignment
    needs_grad: bool
    kept_bytes: int  # of logits to keep, where not all are held
    samples_shared: bool
    codes_shared: bool = False

    def log_prior(self, codes: slice, like: Tensor) -> Tensor:
        """log q of some codes, ``(width,)`` or ``()``, in the type of ``like``."""
        if isinstance(self.log_q, float):  # a scalar on the CPU, which operations on a GPU accept without waiting
            return torch.tensor(self.log_q, dtype=like.dtype)
        return self.log_q[codes].to(like)

    def partners(self, views: int) -> list[list[int]]:
        """For each view, the views that it is compared with."""
        return [[b for pair in self.pairs for a, b in (pair, pair[::-1]) if a == view] for view in range(views)]


@dataclass(frozen=True)
class LossAndGradient:
    """Parts of the loss as scalars, codes of the first view ``(n,)`` and the gradient of ``beta * invariance + prior``
    with respect to the embeddings ``(views, n, f)``, if it is needed. ``mean_assignment`` ``(c,)`` is of the first view
    and this rank's codes."""

    invariance: Tensor
    prior: Tensor
    assignment_entropy: Tensor
    mean_entropy: Tensor
    codes: Tensor
    mean_assignment: Tensor
    grad: Tensor | None
