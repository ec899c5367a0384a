"""GEDI's objective: use every cluster, assign two views alike, and model the density of images (Sansone & Manhaeve)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from cplearn_solo.core.precision import at_least_float32, without_autocast
from cplearn_solo.losses.shapes import check_views


class GEDILoss(NamedTuple):
    """``loss = (prior + beta * invariance) / 2``, scalars in nats."""

    loss: Tensor
    invariance: Tensor
    prior: Tensor


def gedi_loss(z1: Tensor, z2: Tensor, *, beta: float = 0.1) -> GEDILoss:
    """The discriminative terms, without a generative one ("GEDI no gen").

    ``z1``, ``z2``: logits ``(n, c)``, row i of each from the same image; with p = softmax(z), prior is -sum_j log
    mean_i p1_ij, over the first view only, and invariance is the cross-entropy of p2 and p1, in this direction only.
    Gradients reach both views. All computation is in the log domain, where saturated assignments stay finite.

    Raises ``InputError`` for logits that do not match.
    """
    check_views(z1, z2, "logits", "(n, c)")
    with without_autocast(z1):
        log_p1, log_p2 = (torch.log_softmax(at_least_float32(z), dim=1) for z in (z1, z2))
        prior = -(torch.logsumexp(log_p1, dim=0) - math.log(len(z1))).sum()
        invariance = -(log_p2.exp() * log_p1).sum(dim=1).mean()
        return GEDILoss((prior + beta * invariance) / 2, invariance, prior)


def energy(logits: Tensor) -> Tensor:
    """E ``(n,)`` of logits ``(n, c)``: -logsumexp_j z_j, so that exp(-E) is an unnormalised density (JEM, Eq. 6)."""
    return -torch.logsumexp(at_least_float32(logits), dim=1)


def langevin(
    energies: Callable[[Tensor], Tensor],
    x: Tensor,
    noises: Callable[[], Tensor],
    *,
    steps: int,
    step_size: float,
    clamp: bool = False,
) -> Tensor:
    """Samples of stochastic-gradient Langevin dynamics that starts from ``x``, with values in [-1, 1].

    Each step is x <- x - step_size dE/dx + noise, as in JEM; with ``clamp``, x is kept in [-1, 1]. ``energies`` maps x
    to one energy per sample, and ``noises`` returns the noise of a step. Only x gets gradients; the result has none.
    """
    x = x.detach()
    for _ in range(steps):
        with torch.enable_grad():
            x.requires_grad_()
            (grad,) = torch.autograd.grad(energies(x).sum(), x)
        x = x.detach() - step_size * grad + noises()
        x = x.clamp(-1, 1) if clamp else x
    return x
