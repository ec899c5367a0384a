"""What the implementations of the objective are given and give back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cplearn_solo.kernels.packed import PackedDictionary


@dataclass(frozen=True)
class Problem:
    """The objective but for its embeddings."""

    dictionary: PackedDictionary
    temperature: float
    beta: float
    log_q: Tensor | None  # (c,), uniform if absent
    prior_loss: str
    pairs: list[tuple[int, int]]
    needs_grad: bool

    def log_prior(self, start: int, stop: int, like: Tensor) -> Tensor:
        """log q of the codes ``start`` to ``stop``, ``(stop - start,)``."""
        if self.log_q is None:
            return like.new_full((stop - start,), -math.log(self.dictionary.c))
        return self.log_q[start:stop].to(like)

    def partners(self, views: int) -> list[list[int]]:
        """For each view those that it is compared with."""
        return [[b for pair in self.pairs for a, b in (pair, pair[::-1]) if a == view] for view in range(views)]


@dataclass(frozen=True)
class Solution:
    """Parts of the loss as float64 scalars, codes of the first view ``(n,)`` and the gradient of
    ``beta * invariance + prior`` with respect to the embeddings ``(views, n, f)``, if it is needed."""

    invariance: Tensor
    prior: Tensor
    assignment_entropy: Tensor
    mean_entropy: Tensor
    codes: Tensor
    grad: Tensor | None


def compute_dtype(h: Tensor) -> torch.dtype:
    """Type of everything but products: float32 at least."""
    return torch.promote_types(h.dtype, torch.float32)
