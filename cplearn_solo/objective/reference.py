"""The objective with all of W and all logits multiplied out: what the other implementations are compared with."""

from __future__ import annotations

import torch
from torch import Tensor

from cplearn_solo.core.precision import at_least_float32
from cplearn_solo.losses import assignments, cplearn_loss
from cplearn_solo.objective.spec import LossAndGradient, LossSpec


def reference(h: Tensor, spec: LossSpec) -> LossAndGradient:
    """The objective of embeddings ``(views, n, f)`` and its gradient by automatic differentiation."""
    with torch.enable_grad():
        h = h.detach().requires_grad_(spec.needs_grad)
        w = spec.dictionary.tile(0, spec.dictionary.c).to(h.dtype)
        z = at_least_float32(h @ w) / spec.temperature
        q = spec.log_prior(slice(None), like=z).exp().expand(spec.dictionary.c)
        losses = [cplearn_loss(z[a], z[b], beta=spec.beta, prior=q, prior_loss=spec.prior_loss) for a, b in spec.pairs]
        loss, invariance, prior = (torch.stack(part).mean() for part in zip(*losses))
        grad = torch.autograd.grad(loss, h)[0] if spec.needs_grad else None
    return LossAndGradient(invariance.detach(), prior.detach(), *assignments(z[0]), grad)
