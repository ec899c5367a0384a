"""The reference of our views: torchvision's transforms on one image at a time, in Pillow's 8 bits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from cplearn_solo.data import Augmentation

BICUBIC = v2.InterpolationMode.BICUBIC


def torchvision_view(aug: Augmentation) -> Callable[[Image.Image], Tensor]:
    """RGB image of any size -> one random view, float (3, crop_size, crop_size) in [0, 1] but for noise.

    The order of operations is solo-learn's. Draws from torch's global generator.
    """
    size, jitter, pad = aug.crop_size, aug.color_jitter, aug.random_crop
    if aug.rrc.enabled:
        scale = (aug.rrc.crop_min_scale, aug.rrc.crop_max_scale)
        steps = [v2.RandomResizedCrop(size, scale=scale, interpolation=BICUBIC)]
    elif pad.enabled:
        steps = [v2.Resize(size, BICUBIC), v2.RandomCrop(size, padding=pad.padding, padding_mode=pad.padding_mode)]
    else:
        steps = [v2.Resize(size, BICUBIC), v2.CenterCrop(size)]

    factors = (jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)
    blur = v2.GaussianBlur(2 * min(6, size - 1) + 1, (0.1, 2.0))  # three of the widest sigmas
    optional = [
        (jitter.prob, v2.RandomApply([v2.ColorJitter(*factors)], jitter.prob)),
        (aug.grayscale.prob, v2.RandomGrayscale(aug.grayscale.prob)),
        (aug.gaussian_blur.prob, v2.RandomApply([blur], aug.gaussian_blur.prob)),
        (aug.solarization.prob, v2.RandomSolarize(128, aug.solarization.prob)),
        (aug.equalization.prob, v2.RandomEqualize(aug.equalization.prob)),
        (aug.horizontal_flip.prob, v2.RandomHorizontalFlip(aug.horizontal_flip.prob)),
    ]
    steps += [step for prob, step in optional if prob > 0]
    steps += [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    if aug.gaussian_noise.std > 0:
        steps.append(v2.GaussianNoise(sigma=aug.gaussian_noise.std, clip=False))
    return v2.Compose([*steps, v2.ToPureTensor()])
