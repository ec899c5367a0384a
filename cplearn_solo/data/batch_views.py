"""Views of a whole batch at once, on any device, from the same distribution as ``per_image``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from cplearn_solo.data.checks import check_augmentation
from cplearn_solo.data.colour import add_noise, equalize, grayscale, jitter, solarize
from cplearn_solo.data.geometry import random_blur, random_resized_crop, resize_and_crop
from cplearn_solo.data.image_views import BICUBIC
from cplearn_solo.data.random_source import RandomSource
from cplearn_solo.data.schema import Augmentation


class BatchAugment:
    """uint8 images (n, 3, H, W) -> the list of their views, one float (n, 3, S, S) tensor per crop, normalised.

    Views come in the order of ``augmentations``, ``num_crops`` of each, which are drawn together as one larger batch.
    Raises ``InputError`` for an augmentation that makes no sense.
    """

    def __init__(self, augmentations: Sequence[Augmentation], mean: Sequence[float], std: Sequence[float]) -> None:
        self.pipelines = [(_steps(aug), aug.num_crops) for aug in augmentations]
        self.normalise = Normalise(mean, std)

    @torch.no_grad()
    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> list[Tensor]:
        random = RandomSource(generator, images.device)
        pixels = images.float().div_(255)
        views = []
        with torch.autocast(images.device.type, enabled=False):  # half precision has fewer levels than 8-bit pixels
            for steps, crops in self.pipelines:
                x = pixels.repeat(crops, 1, 1, 1)
                for step in steps:
                    x = step(x, random)
                views += self.normalise(x).chunk(crops)
        return views


def eval_batch(crop_size: int, mean: Sequence[float], std: Sequence[float]) -> Callable[[Tensor], Tensor]:
    """uint8 (n, 3, H, W) -> float (n, 3, S, S), normalised, with S = max(crop_size, min(H, W)).

    Images keep their size, as solo-learn evaluates small ones, unless crops are larger: random crops show things
    enlarged, so a backbone trained on smaller crops does better on whole images at their own size than shrunk.
    """
    return partial(_centre, crop_size=crop_size, normalise=Normalise(mean, std))


def _centre(images: Tensor, crop_size: int, normalise: Normalise) -> Tensor:
    size = max(crop_size, min(images.shape[-2:]))
    if images.shape[-2:] != (size, size):
        images = F.center_crop(F.resize(images, [size], BICUBIC, antialias=True), [size])
    return normalise(images.float().div_(255))


class Normalise:
    """Float pixels (n, 3, H, W), which are overwritten, less ``mean`` and over ``std`` (three numbers each)."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean, self.std = (torch.tensor(tuple(values)).view(3, 1, 1) for values in (mean, std))

    def __call__(self, pixels: Tensor) -> Tensor:
        if self.mean.device != pixels.device:  # from the first batch on they are where the images are
            self.mean = self.mean.to(pixels.device, non_blocking=True)
            self.std = self.std.to(pixels.device, non_blocking=True)
        return pixels.sub_(self.mean).div_(self.std)


Operation = Callable[[Tensor, RandomSource], Tensor]


def _steps(aug: Augmentation) -> list[Operation]:
    """The operations of one view that have anything to do, geometry first; each may overwrite its input."""
    check_augmentation(aug)
    pad, flip, size = aug.random_crop, aug.horizontal_flip.prob, aug.crop_size
    if aug.rrc.enabled:
        scale = (aug.rrc.crop_min_scale, aug.rrc.crop_max_scale)
        geometry = partial(random_resized_crop, size=size, scale=scale, flip=flip)
    else:
        padding = pad.padding if pad.enabled else None
        geometry = partial(resize_and_crop, size=size, padding=padding, mode=pad.padding_mode, flip=flip)
    optional = [
        (aug.color_jitter.prob, partial(jitter, strength=aug.color_jitter)),
        (aug.grayscale.prob, grayscale),
        (aug.gaussian_blur.prob, random_blur),
        (aug.solarization.prob, solarize),
        (aug.equalization.prob, equalize),
    ]
    steps = [geometry]
    steps += [partial(_apply_randomly, prob=prob, operation=operation) for prob, operation in optional if prob > 0]
    if aug.gaussian_noise.std > 0:
        steps.append(partial(add_noise, std=aug.gaussian_noise.std))
    return steps


def _apply_randomly(x: Tensor, random: RandomSource, prob: float, operation: Operation) -> Tensor:
    """``operation`` applied to each sample with probability ``prob``."""
    if prob >= 1:
        return operation(x, random)
    chosen = random.chosen(len(x), prob)
    if _computes_all(x):
        return torch.where(chosen[:, None, None, None], operation(x.clone(), random), x)
    index = chosen.nonzero().flatten()
    return x.index_copy_(0, index, operation(x[index], random)) if len(index) else x


def _computes_all(x: Tensor) -> bool:
    """A GPU does so, as the program would have to wait for the number of chosen samples; a CPU saves the work."""
    return x.is_cuda
