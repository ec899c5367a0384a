"""The objective with all of W and all logits multiplied out: what the others are compared with."""

from __future__ import annotations

import torch
from torch import Tensor

from cplearn_solo.core.precision import at_least_float32
from cplearn_solo.losses import assignments, cplearn_loss
from cplearn_solo.objective.problem import Problem, Solution


def reference(h: Tensor, problem: Problem) -> Solution:
    """The objective of embeddings ``(views, n, f)`` and its gradient by automatic differentiation."""
    with torch.enable_grad():
        h = h.detach().requires_grad_(problem.needs_grad)
        w = problem.dictionary.tile(0, problem.dictionary.c).to(h.dtype)
        z = at_least_float32(h @ w) / problem.temperature
        q = problem.log_prior(slice(None), like=z).exp().expand(problem.dictionary.c)
        losses = [
            cplearn_loss(z[a], z[b], beta=problem.beta, prior=q, prior_loss=problem.prior_loss)
            for a, b in problem.pairs
        ]
        loss, invariance, prior = (torch.stack(part).mean() for part in zip(*losses))
        grad = torch.autograd.grad(loss, h)[0] if problem.needs_grad else None
    return Solution(invariance.detach(), prior.detach(), *assignments(z[0]), grad)
