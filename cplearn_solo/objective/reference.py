"""The objective with all of W and all logits in memory: the other implementations are compared with it."""

from __future__ import annotations

import torch
from torch import Tensor

from cplearn_solo.core.precision import at_least_float32
from cplearn_solo.losses import assignments, cplearn_loss
from cplearn_solo.objective.spec import LossAndGradient, LossSpec


def reference(h: Tensor, spec: LossSpec) -> LossAndGradient:
    """The objective of embeddings ``(views, n, f)``; automatic differentiation gives its gradient with respect to
    logits."""
    w = spec.dictionary.tile(0, spec.dictionary.c)
    q = None if isinstance(spec.log_q, float) else spec.log_q.exp()
    with torch.enable_grad():
        z = (at_least_float32(h @ w.to(h.dtype)) / spec.temperature).requires_grad_(spec.needs_grad)
        losses = [
            cplearn_loss(z[a], z[b], beta=spec.beta, prior=q, prior_loss=spec.prior_loss, prior_is_checked=True)
            for a, b in spec.pairs
        ]
        loss, invariance, prior = (torch.stack(part).mean() for part in zip(*losses))
        grad = None
        if spec.needs_grad:  # in float32 at least: half precision would round the small numbers of dloss / dz to 0
            dz = torch.autograd.grad(loss, z)[0]
            grad = (dz / spec.temperature) @ w.to(dz.dtype).T
    return LossAndGradient(invariance.detach(), prior.detach(), *assignments(z[0]), grad)
