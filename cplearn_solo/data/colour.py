"""Colour of a whole batch: pixels are in [0, 1] and may be overwritten, factors are (n, 1, 1, 1)."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from cplearn_solo.data.random_source import RandomSource
from cplearn_solo.data.schema import ColorJitter

GRAY = (0.2989, 0.587, 0.114)


def gray(x: Tensor) -> Tensor:
    """(n, 3, ...) -> (n, 1, ...)"""
    r, g, b = x.split(1, dim=1)
    return (GRAY[0] * r).add_(g, alpha=GRAY[1]).add_(b, alpha=GRAY[2])


def _blend(x: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return x.mul_(factor).add_(other.mul_(1 - factor)).clamp_(0, 1)


def brightness(x: Tensor, factor: Tensor) -> Tensor:
    """Pixels times ``factor``."""
    return x.mul_(factor).clamp_(0, 1)


def contrast(x: Tensor, factor: Tensor) -> Tensor:
    """A blend with the mean grey of each image, of which ``factor`` is the image's share."""
    return _blend(x, gray(x.mean((2, 3), keepdim=True)), factor)


def saturation(x: Tensor, factor: Tensor) -> Tensor:
    """A blend with each image in grey, of which ``factor`` is the image's share."""
    return _blend(x, gray(x), factor)


def hue(x: Tensor, shift: Tensor) -> Tensor:
    """Hue turned by ``shift`` of a full turn; lightest and darkest channel of a pixel keep their values."""
    r, g, b = x.split(1, dim=1)
    high, low = torch.maximum(torch.maximum(r, g), b), torch.minimum(torch.minimum(r, g), b)
    chroma = high - low
    green_or_blue = torch.where(high == g, (b - r).add_(chroma, alpha=2), (r - g).add_(chroma, alpha=4))
    sixths = torch.where(high == r, g - b, green_or_blue)
    sixths = sixths.div_(chroma.clamp(min=1e-8)).add_(6 * shift)
    # On the colour circle of six sixths a channel is low for two around the one opposite to it, rises for one, is high
    # for two around its own and falls for one: all a function of the distance to its own, red at 0, green 2, blue 4.
    away = sixths - torch.arange(0, 6, 2, dtype=x.dtype, device=x.device).view(3, 1, 1)
    away.sub_((away / 6).round_(), alpha=6).abs_()
    return away.neg_().add_(2).clamp_(0, 1).mul_(chroma).add_(low)


def jitter(x: Tensor, random: RandomSource, strength: ColorJitter) -> Tensor:
    """Brightness, contrast, saturation and hue with factors per sample.

    One order is drawn for all samples of the batch: each sample on its own still sees every order equally often, and
    the work stays four operations on the whole batch.
    """
    operations = [
        (brightness, *_factors(strength.brightness)),
        (contrast, *_factors(strength.contrast)),
        (saturation, *_factors(strength.saturation)),
        (hue, -strength.hue, strength.hue),
    ]
    for i in random.order(len(operations)):
        operation, low, high = operations[i]
        if low < high:
            x = operation(x, random.uniform(len(x), 1, 1, 1, low=low, high=high))
    return x


def _factors(strength: float) -> tuple[float, float]:
    return max(0, 1 - strength), 1 + strength


def grayscale(x: Tensor, random: RandomSource) -> Tensor:
    """Grey in all three channels."""
    return gray(x).repeat(1, 3, 1, 1)


def solarize(x: Tensor, random: RandomSource) -> Tensor:
    """Pixels from 128 of 255 up inverted."""
    return torch.where(x < 127.5 / 255, x, 1 - x)  # 128 once rounded to 8 bits


def equalize(x: Tensor, random: RandomSource) -> Tensor:
    """The histogram of each channel made flat, as PIL does."""
    return F.equalize((x * 255).round_().to(torch.uint8)).to(x.dtype).div_(255)


def add_noise(x: Tensor, random: RandomSource, std: float) -> Tensor:
    """Gaussian noise, not clipped."""
    return x.add_(random.normal(x.shape), alpha=std)
