"""The teacher: a copy of the online network that follows it."""

from __future__ import annotations

import copy

from torch import nn


def teacher_of(online: nn.Module) -> nn.Module:
    """A copy of ``online`` without gradients, stochastic depth and dropout, as DINO's ``main_dino.py`` builds it.

    Without dropout, its targets come from the whole network. It stays in training mode, where BatchNorm uses the
    statistics of the batch.
    """
    return without_dropout(copy.deepcopy(online).requires_grad_(False))


def without_dropout(network: nn.Module) -> nn.Module:
    """``network``, in which every rate of dropout and stochastic depth is now 0."""
    for module in network.modules():
        of_its_kind = any(word in type(module).__name__.lower() for word in ("drop", "stochasticdepth"))
        for name, value in list(vars(module).items()):  # rates of layers, or numbers of an attention module
            if isinstance(value, float) and (of_its_kind or "drop" in name):
                setattr(module, name, 0.0)
    return network
