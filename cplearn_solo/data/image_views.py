"""Views of one image at a time, for images that are decoded in worker processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from cplearn_solo.data.checks import check_augmentation
from cplearn_solo.data.schema import Augmentation

Pipeline = Callable[[Image.Image], Tensor]
BICUBIC = v2.InterpolationMode.BICUBIC
BLUR_SIGMA = (0.1, 2.0)


def blur_radius(crop_size: int) -> int:
    """Half-width of the blur kernel: three of the widest sigmas, and no more than a reflection has to show."""
    return min(6, crop_size - 1)


def per_image(aug: Augmentation, mean: Sequence[float], std: Sequence[float]) -> Pipeline:
    """RGB image of any size -> one random view, float (3, crop_size, crop_size), normalised.

    The order of operations is solo-learn's. Draws from torch's global generator. Raises ``InputError`` for an
    augmentation that makes no sense.
    """
    check_augmentation(aug)
    size, jitter, pad = aug.crop_size, aug.color_jitter, aug.random_crop
    if aug.rrc.enabled:
        scale = (aug.rrc.crop_min_scale, aug.rrc.crop_max_scale)
        steps = [v2.RandomResizedCrop(size, scale=scale, interpolation=BICUBIC)]
    elif pad.enabled:
        steps = [v2.Resize(size, BICUBIC), v2.RandomCrop(size, padding=pad.padding, padding_mode=pad.padding_mode)]
    else:
        steps = [v2.Resize(size, BICUBIC), v2.CenterCrop(size)]

    factors = (jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)
    blur = v2.GaussianBlur(2 * blur_radius(size) + 1, BLUR_SIGMA)
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
    return v2.Compose([*steps, v2.Normalize(list(mean), list(std)), v2.ToPureTensor()])


def eval_image(crop_size: int, mean: Sequence[float], std: Sequence[float]) -> Pipeline:
    """RGB image of any size -> its centre, float (3, crop_size, crop_size), normalised.

    Above 64 pixels the shorter side is first resized to 256/224 of the crop, as is customary for photographs.
    """
    resized = round(crop_size * 256 / 224) if crop_size > 64 else crop_size
    return v2.Compose(
        [
            v2.Resize(resized, BICUBIC),
            v2.CenterCrop(crop_size),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(list(mean), list(std)),
            v2.ToPureTensor(),
        ]
    )
