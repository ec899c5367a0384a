"""Views made image by image with Pillow and torchvision, as references of benchmarks."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import torch
from PIL import Image, ImageFilter, ImageOps
from torch import Tensor
from torchvision import transforms
from torchvision.transforms import v2

from cplearn_solo.data import IMAGENET_MEAN, IMAGENET_STD, Augmentation

BICUBIC = v2.InterpolationMode.BICUBIC
Views = Callable[[Image.Image], list[Tensor]]


def dino() -> Views:
    """Two crops of 224 pixels and eight of 96, as by DINO's ``DataAugmentationDINO``."""
    colour = _colour(0.4, 0.4, 0.2, 0.1)
    first = _transform(224, (0.4, 1), *colour, _pillow_blur)
    second = _transform(224, (0.4, 1), *colour, _seldom(_pillow_blur, 0.1), _seldom(ImageOps.solarize, 0.2))
    small = _transform(96, (0.05, 0.4), *colour, _seldom(_pillow_blur, 0.5))
    return lambda image: [first(image), second(image), *(small(image) for _ in range(8))]


def simclr() -> Views:
    """Two crops of 224 pixels with SimCLR's augmentation in torchvision."""
    blur = transforms.RandomApply([transforms.GaussianBlur(23, (0.1, 2.0))], 0.5)
    view = _transform(224, (0.08, 1), *_colour(0.8, 0.8, 0.8, 0.2), blur)
    return lambda image: [view(image), view(image)]


def image_by_image(augmentations: Sequence[Augmentation]) -> Views:
    """All views as in 0.2.0, each made from the whole image."""
    views = [_view(a) for a in augmentations for _ in range(a.num_crops)]
    return lambda image: [view(image) for view in views]


def _view(a: Augmentation) -> Callable[[Image.Image], Tensor]:
    """A view by a random resized crop and one operation after the other."""
    size, jitter, scale = a.crop_size, a.color_jitter, (a.rrc.crop_min_scale, a.rrc.crop_max_scale)
    strength = (jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)
    blur = v2.GaussianBlur(2 * min(6, size - 1) + 1, (0.1, 2.0))
    optional = [
        (jitter.prob, v2.RandomApply([v2.ColorJitter(*strength)], jitter.prob)),
        (a.grayscale.prob, v2.RandomGrayscale(a.grayscale.prob)),
        (a.gaussian_blur.prob, v2.RandomApply([blur], a.gaussian_blur.prob)),
        (a.solarization.prob, v2.RandomSolarize(128, a.solarization.prob)),
        (a.horizontal_flip.prob, v2.RandomHorizontalFlip(a.horizontal_flip.prob)),
    ]
    steps = [v2.RandomResizedCrop(size, scale=scale, interpolation=BICUBIC)]
    steps += [step for prob, step in optional if prob > 0]
    steps += [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
    return v2.Compose([*steps, v2.ToPureTensor()])


def _transform(size: int, scale: tuple[float, float], *colour: Callable) -> Callable:
    crop = transforms.RandomResizedCrop(size, scale=scale, interpolation=BICUBIC)
    floats = transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)
    return transforms.Compose([crop, transforms.RandomHorizontalFlip(), *colour, *floats])


def _colour(*strength: float) -> tuple[Callable, Callable]:
    return transforms.RandomApply([transforms.ColorJitter(*strength)], 0.8), transforms.RandomGrayscale(0.2)


def _seldom(operation: Callable, prob: float) -> Callable:
    return transforms.RandomApply([transforms.Lambda(operation)], prob)


def _pillow_blur(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2)))
