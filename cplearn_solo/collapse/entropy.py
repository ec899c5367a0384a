"""The entropy of a diagonal Gaussian mixture over its number of components (CPLearn, Figs. 6b, 13b and 15)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics.intracluster import gmm_entropy

COMPONENTS = (10, 20, 50, 100, 200, 500, 1000)  # as in the paper
# The paper fits 1000 components to 10,000 images. A component with far fewer samples has a variance due to chance.
SAMPLES_A_COMPONENT = 5


@dataclass(frozen=True)
class Entropy:
    """Entropy in nats for a number of components, or the ``reason`` why there is none."""

    components: int
    nats: float | None
    reason: str = ""


def unit_scale(features: Tensor) -> Tensor:
    """Features ``(n, d)`` centred and divided by one number, so that their variance is 1 on average over dimensions.

    Differential entropy depends on the scale, which is arbitrary for a network's features. The ratios between
    dimensions, which show a collapse, do not change. Raises ``InputError`` for constant features.
    """
    centred = features.double() - features.double().mean(dim=0)
    variance = centred.square().mean().item()
    rounding = 4 * torch.finfo(torch.float32).eps * features.abs().max().item()
    if variance <= rounding**2:
        raise InputError("features are constant: they have no scale")
    return centred / variance**0.5


def mixture_entropy(features: Tensor, components: int, *, seed: int) -> Entropy:
    """:func:`gmm_entropy` of features at unit scale, if there are enough samples for so many components."""
    least = SAMPLES_A_COMPONENT * components
    if len(features) < least:
        return Entropy(
            components, None, f"{len(features):,} samples are too few for {components} components: at least {least:,}"
        )
    try:
        return Entropy(components, gmm_entropy(unit_scale(features), components=components, seed=seed))
    except InputError as error:
        return Entropy(components, None, str(error))
