"""Features at a fixed scale, so that measures do not depend on the scale of the network's features."""

from __future__ import annotations

import torch
from torch import Tensor

from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics.scale import scale_of


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


def log_scales(features: Tensor) -> float:
    """Minus the sum over dimensions of the log of the standard deviation at unit scale, in nats, 0 if all are equal.

    With each dimension scaled to variance 1, a differential entropy of features ``(n, d)`` would be higher by this
    number. Raises ``InputError`` if a dimension is constant.
    """
    deviations = unit_scale(features).std(dim=0, unbiased=False)
    constant = len(deviations) - int((scale_of(features).factor > 0).sum())
    if constant:
        raise InputError(f"{constant} of {len(deviations)} dimensions are constant: they have no scale")
    return -deviations.log().sum().item()
