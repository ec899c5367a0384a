"""Mean and standard deviation per channel, with which images are normalised."""

from __future__ import annotations

import torch

from cplearn_solo.data.image_set import IMAGENET_MEAN, IMAGENET_STD, Channels, ImageSet, MemorySet

# Those of data sets where they are customary; others are measured.
NORMALISATION: dict[str, tuple[Channels, Channels]] = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "stl10": ((0.4914, 0.4823, 0.4466), (0.2470, 0.2430, 0.2610)),
    "svhn": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
}


def channel_statistics(images: ImageSet) -> tuple[Channels, Channels]:
    """Mean and std per channel of images in memory; ImageNet's for files, which would have to be decoded first."""
    if not isinstance(images, MemorySet):
        return IMAGENET_MEAN, IMAGENET_STD
    # Histograms of the 256 pixel values: exact, and without a float copy of the images.
    counts = torch.stack([images.images[:, c].flatten().bincount(minlength=256) for c in range(3)]).double()
    values = torch.arange(256, dtype=torch.float64) / 255
    weights = counts / counts.sum(1, keepdim=True)
    mean = weights @ values
    std = (weights @ values.square() - mean.square()).clamp(min=0).sqrt().clamp(min=1 / 255)  # a constant channel
    return tuple(mean.tolist()), tuple(std.tolist())
