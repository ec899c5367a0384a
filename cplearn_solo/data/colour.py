"""Colour of a whole batch: pixels are in [0, 1] and may be overwritten, factors are (n, 1, 1, 1).

Functions named ``draw_`` draw all random numbers for the whole batch first; the ``Operation`` that they return is then
applied to one part of the batch after another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from cplearn_solo.data.random_source import RandomSource
from cplearn_solo.data.schema import ColorJitter

Operation = Callable[[Tensor, slice], Tensor]  # pixels of some samples, and which rows of the batch they are

GRAY = (0.2989, 0.587, 0.114)


def gray(x: Tensor) -> Tensor:
    """(n, c, ...) -> (n, 1, ...): the luma of RGB, and the mean of other channels."""
    if x.shape[1] != len(GRAY):
        return x.mean(1, keepdim=True)
    r, g, b = x.split(1, dim=1)
    return (GRAY[0] * r).add_(g, alpha=GRAY[1]).add_(b, alpha=GRAY[2])


def _blend(x: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return x.mul_(factor).add_(other.mul_(1 - factor)).clamp_(0, 1)


def brightness(x: Tensor, factor: Tensor) -> Tensor:
    """Pixels times ``factor``."""
    return x.mul_(factor).clamp_(0, 1)


def contrast(x: Tensor, factor: Tensor) -> Tensor:
    """Blends each image with its mean grey; ``factor`` is the weight of the image."""
    return _blend(x, gray(x.mean((2, 3), keepdim=True)), factor)


def saturation(x: Tensor, factor: Tensor) -> Tensor:
    """Blends each image with its grey version; ``factor`` is the weight of the image."""
    return _blend(x, gray(x), factor)


def hue(x: Tensor, shift: Tensor) -> Tensor:
    """Rotates the hue by ``shift``, a share of a full turn; a pixel's largest and smallest value do not change."""
    r, g, b = x.split(1, dim=1)
    high, low = torch.maximum(torch.maximum(r, g), b), torch.minimum(torch.minimum(r, g), b)
    chroma = high - low
    # On the colour circle of six sixths red is at 0, green at 2, blue at 4. With the lightest and darkest channel at 1
    # and 0, a hue is 1 - r + g + b sixths from red: the channel between them rises in the first sixth, red falls in the
    # second, the channel between rises in the third. The sign of g - b is the direction.
    sixths = (g + b).sub_(r).add_(chroma).sub_(low).div_(chroma.clamp(min=1e-8)).copysign_(g - b).add_(6 * shift)
    sixths.sub_((sixths / 6).round_(), alpha=6)
    # A channel is high up to one sixth from its own place, falls in the next sixth, and is low in the two sixths around
    # the opposite place, three away. The formula holds for distances up to seven, past a full turn.
    away = sixths - torch.arange(0, 6, 2, dtype=x.dtype, device=x.device).view(3, 1, 1)
    return away.abs_().sub_(3).abs_().sub_(1).clamp_(0, 1).mul_(chroma).add_(low)


JITTER = (brightness, contrast, saturation, hue)


def draw_jitter(shape: Sequence[int], random: RandomSource, strength: ColorJitter) -> Operation:
    """Brightness, contrast, saturation and hue with factors per sample.

    One order is drawn for all samples of the batch: each sample on its own still sees every order equally often, and
    the work stays four operations on the whole batch.
    """
    ranges = [
        *(_factors(share) for share in (strength.brightness, strength.contrast, strength.saturation)),
        (-strength.hue, strength.hue),
    ]
    drawn = []
    for i in random.order(len(JITTER)):
        low, high = ranges[i]
        if low < high:
            drawn.append((JITTER[i], random.uniform(shape[0], 1, 1, 1, low=low, high=high)))

    def jitter(x: Tensor, rows: slice) -> Tensor:
        for operation, factors in drawn:
            x = operation(x, factors[rows])
        return x

    return jitter


def _factors(strength: float) -> tuple[float, float]:
    return max(0, 1 - strength), 1 + strength


def grayscale(x: Tensor) -> Tensor:
    """Replaces all channels by grey."""
    return x.copy_(gray(x))


def solarize(x: Tensor) -> Tensor:
    """Inverts pixels from 128 of 255 up: those that are lighter than their inverse."""
    return torch.minimum(x, 1 - x, out=x)


def equalize(x: Tensor) -> Tensor:
    """Equalises the histogram of each channel, as PIL does."""
    return F.equalize((x * 255).round_().to(torch.uint8)).to(x.dtype).div_(255)


def draw_noise(shape: Sequence[int], random: RandomSource, std: float) -> Operation:
    """Gaussian noise, not clipped."""
    noise = random.normal(shape)
    return lambda x, rows: x.add_(noise[rows], alpha=std)
