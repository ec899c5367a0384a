"""Mean and standard deviation per channel, for the normalisation of images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cplearn_solo.data.decoding import Picture
from cplearn_solo.data.image_set import IMAGENET_MEAN, IMAGENET_STD, Channels, FileSet, ImageSet
from cplearn_solo.data.schema import RGB

# The customary values of some data sets in RGB; for all others see ``channel_statistics``.
NORMALISATION: dict[str, tuple[Channels, Channels]] = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "stl10": ((0.4914, 0.4823, 0.4466), (0.2470, 0.2430, 0.2610)),
    "svhn": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
}
IMAGES = 200  # files that are measured


def channel_statistics(images: ImageSet, seed: int) -> tuple[Channels, Channels]:
    """Mean and std per channel: of all images in memory, ImageNet's for RGB files, of a seeded sample for others."""
    if not isinstance(images, FileSet):
        return _of_levels(_counts(images.images.transpose(0, 1).flatten(1)))
    if images.decoding.channels == RGB:
        return IMAGENET_MEAN, IMAGENET_STD
    chosen = np.random.default_rng(seed).permutation(len(images))[:IMAGES].tolist()
    return _of_levels(sum(_counts_of_image(images.read(i)[0].image) for i in chosen))


def deviations(image: Picture) -> Channels:
    """Standard deviation per channel of pixels in [0, 1], at least 1/255."""
    return _of_levels(_counts_of_image(image))[1]


def _counts_of_image(image: Picture) -> Tensor:
    pixels = np.atleast_3d(np.array(image))
    return _counts(torch.from_numpy(pixels.reshape(-1, pixels.shape[2]).T))


def _counts(pixels: Tensor) -> Tensor:
    """Histograms (c, 256) of uint8 pixels (c, m): exact, and without a float copy."""
    return torch.stack([channel.bincount(minlength=256) for channel in pixels])


def _of_levels(counts: Tensor) -> tuple[Channels, Channels]:
    values = torch.arange(256, dtype=torch.float64) / 255
    weights = counts / counts.sum(1, keepdim=True).double()
    mean = weights @ values
    std = (weights @ values.square() - mean.square()).clamp(min=0).sqrt().clamp(min=1 / 255)  # a constant channel
    return tuple(mean.tolist()), tuple(std.tolist())
