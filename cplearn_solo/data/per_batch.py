"""Views of a whole batch at once, on any device, from the same distribution as ``per_image``.

Cropping, resizing, padding, flipping and blurring act on rows and columns separately. Each is therefore one matrix
per sample for the rows and one for the columns, and two batched matrix products do the work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from cplearn_solo.data.checks import check_augmentation
from cplearn_solo.data.per_image import BICUBIC, BLUR_SIGMA, blur_radius
from cplearn_solo.data.schema import Augmentation, ColorJitter

GRAY = (0.2989, 0.587, 0.114)
ASPECT = (3 / 4, 4 / 3)


class Dice:
    """Random numbers from one generator (None: torch's own), delivered to the device of the images."""

    def __init__(self, generator: torch.Generator | None, device: torch.device) -> None:
        self.generator, self.device = generator, device
        self.source = generator.device if generator else device

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.empty(shape, device=self.source).uniform_(low, high, generator=self.generator).to(self.device)

    def normal(self, shape: Sequence[int]) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.source).to(self.device)

    def chosen(self, n: int, prob: float) -> Tensor:
        """Indices of the samples, each with probability ``prob``."""
        draw = torch.rand(n, generator=self.generator, device=self.source)
        return (draw < prob).nonzero().flatten().to(self.device)

    def order(self, n: int) -> list[int]:
        return torch.randperm(n, generator=self.generator, device=self.source).tolist()


class BatchAugment:
    """uint8 images (n, 3, H, W) -> the list of their views, one float (n, 3, S, S) tensor per crop, normalised.

    Views come in the order of ``augmentations``, ``num_crops`` of each, which are drawn together as one larger batch.
    Raises ``InputError`` for an augmentation that makes no sense.
    """

    def __init__(self, augmentations: Sequence[Augmentation], mean: Sequence[float], std: Sequence[float]) -> None:
        self.pipelines = [(_steps(aug), aug.num_crops) for aug in augmentations]
        self.mean, self.std = (torch.tensor(tuple(values)).view(3, 1, 1) for values in (mean, std))

    @torch.no_grad()
    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> list[Tensor]:
        dice = Dice(generator, images.device)
        mean, std = self.mean.to(images.device), self.std.to(images.device)
        pixels = images.float().div_(255)
        views = []
        with torch.autocast(images.device.type, enabled=False):  # half precision has fewer levels than 8-bit pixels
            for steps, crops in self.pipelines:
                x = pixels.repeat(crops, 1, 1, 1)
                for step in steps:
                    x = step(x, dice)
                views += x.sub_(mean).div_(std).chunk(crops)
        return views


def eval_batch(images: Tensor, crop_size: int, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 (n, 3, H, W) -> float (n, 3, S, S), normalised, with S = max(crop_size, min(H, W)).

    Images keep their size, as solo-learn evaluates small ones, unless crops are larger: random crops show things
    enlarged, so a backbone trained on smaller crops does better on whole images at their own size than shrunk.
    """
    size = max(crop_size, min(images.shape[-2:]))
    if images.shape[-2:] != (size, size):
        images = F.center_crop(F.resize(images, [size], BICUBIC, antialias=True), [size])
    return F.normalize(images.float().div_(255), list(mean), list(std))


Change = Callable[[Tensor, Dice], Tensor]


def _steps(aug: Augmentation) -> list[Change]:
    """The operations of one view that have anything to do, geometry first; each may overwrite its input."""
    check_augmentation(aug)
    pad, flip, size = aug.random_crop, aug.horizontal_flip.prob, aug.crop_size
    if aug.rrc.enabled:
        scale = (aug.rrc.crop_min_scale, aug.rrc.crop_max_scale)
        geometry = partial(_random_resized_crop, size=size, scale=scale, flip=flip)
    else:
        padding = pad.padding if pad.enabled else None
        geometry = partial(_resize_and_crop, size=size, padding=padding, mode=pad.padding_mode, flip=flip)
    optional = [
        (aug.color_jitter.prob, partial(jitter, strength=aug.color_jitter)),
        (aug.grayscale.prob, grayscale),
        (aug.gaussian_blur.prob, _random_blur),
        (aug.solarization.prob, solarize),
        (aug.equalization.prob, equalize),
    ]
    changes = [partial(_on_some, prob=prob, change=change) for prob, change in optional if prob > 0]
    if aug.gaussian_noise.std > 0:
        changes.append(partial(_add_noise, std=aug.gaussian_noise.std))
    return [geometry, *changes]


def _on_some(x: Tensor, dice: Dice, prob: float, change: Change) -> Tensor:
    """``change`` applied to each sample with probability ``prob``."""
    if prob >= 1:
        return change(x, dice)
    index = dice.chosen(len(x), prob)
    return x.index_copy_(0, index, change(x[index], dice)) if len(index) else x


# --- geometry ----------------------------------------------------------------------------------------------------


def resample(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(n, 3, H, W) times row weights (n, S, H) and column weights (n, S, W) -> (n, 3, S, S) in [0, 1].

    Columns first and clamped after each pass, as PIL does.
    """
    x = torch.einsum("nchw,nvw->nchv", x, columns).clamp_(0, 1)
    return torch.einsum("nchv,nuh->ncuv", x, rows).clamp_(0, 1)


def bicubic_weights(start: Tensor, length: Tensor, positions: Tensor, size: int) -> Tensor:
    """Antialiased bicubic weights (n, S, size) that resize the box [start, start + length) to S pixels, as PIL does.

    ``start`` and ``length`` are (n,), integers; ``positions`` (n or 1, S) says which of the S output pixels each row
    of the result computes. The filter widens when the box shrinks and sees only pixels of the box.
    """
    start, length = start[:, None, None], length[:, None, None]
    scale = length / positions.shape[-1]
    pixel = torch.arange(0.5, size, device=start.device)
    centre = (positions[..., None] + 0.5) * scale + start
    t = (pixel - centre).div_(scale.clamp(min=1)).abs_()
    # Keys' cubic with a = -0.5 as truncated powers: the second term is there for t < 2, the first for t < 1.
    p, q = (1 - t).relu_(), (2 - t).relu_()  # in place from here on: fresh memory costs more than the arithmetic
    weights = (q - 1).mul_(q).mul_(q).mul_(0.5).add_((p * -2).add_(1).mul_(p).mul_(p))
    weights.mul_((pixel > start) & (pixel < start + length))
    return weights.div_(weights.sum(-1, keepdim=True))


def reflect(index: Tensor, size: int) -> Tensor:
    """Indices up to ``size - 1`` outside of 0..size-1, mirrored into it without repeating the border."""
    return (size - 1) - ((size - 1) - index.abs()).abs()


def random_boxes(n: int, height: int, width: int, scale: tuple[float, float], dice: Dice) -> tuple[Tensor, ...]:
    """top, left, height and width, each (n,) float integers, distributed like torchvision's RandomResizedCrop.

    Ten tries per sample, of which the first box that fits the image counts; where none does, the largest central box
    with an aspect in range.
    """
    area = height * width * dice.uniform(n, 10, low=scale[0], high=scale[1])
    low, high = torch.tensor(ASPECT).log().tolist()
    aspect = dice.uniform(n, 10, low=low, high=high).exp_()
    w, h = (area * aspect).sqrt_().round_(), (area / aspect).sqrt_().round_()
    fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    first = fits.byte().argmax(1, keepdim=True)
    found = fits.any(1)
    central_w = width if width <= height * ASPECT[1] else round(height * ASPECT[1])
    central_h = height if width >= height * ASPECT[0] else round(width / ASPECT[0])
    w = torch.where(found, w.gather(1, first).squeeze(1), central_w)
    h = torch.where(found, h.gather(1, first).squeeze(1), central_h)
    at = dice.uniform(2, n)
    top = torch.where(found, (at[0] * (height - h + 1)).floor_(), (height - central_h) // 2)
    left = torch.where(found, (at[1] * (width - w + 1)).floor_(), (width - central_w) // 2)
    return top, left, h, w


def _positions(n: int, size: int, flip: float, dice: Dice) -> Tensor:
    """Output pixels (n or 1, size), in reverse for samples that are flipped."""
    forward = torch.arange(size, device=dice.device)[None]
    return torch.where(dice.uniform(n, 1) < flip, forward.flip(1), forward) if flip > 0 else forward


def _random_resized_crop(x: Tensor, dice: Dice, size: int, scale: tuple[float, float], flip: float) -> Tensor:
    n, _, height, width = x.shape
    top, left, h, w = random_boxes(n, height, width, scale, dice)
    rows = bicubic_weights(top, h, _positions(n, size, 0.0, dice), height)
    return resample(x, rows, bicubic_weights(left, w, _positions(n, size, flip, dice), width))


def _resize_and_crop(x: Tensor, dice: Dice, size: int, padding: int | None, mode: str, flip: float) -> Tensor:
    """Shorter side resized to ``size``; then the centre (padding None), or a random crop of the padded image."""
    n, _, height, width = x.shape
    if (height, width) == (size, size) and padding is None and flip == 0:
        return x
    weights = []
    for side, positions in ((height, _positions(n, size, 0.0, dice)), (width, _positions(n, size, flip, dice))):
        resized = int(size * side / min(height, width))
        weights.append(_window_weights(n, side, resized, positions, padding, mode, dice))
    return resample(x, *weights)


def _window_weights(
    n: int, side: int, resized: int, positions: Tensor, padding: int | None, mode: str, dice: Dice
) -> Tensor:
    """Weights (n, S, side) that resize a side, pad it, and keep a window of S = positions.shape[1] pixels."""
    whole = torch.arange(resized, device=dice.device)[None]
    weights = bicubic_weights(whole.new_zeros(1), whole.new_full((1,), side), whole, side)[0]
    spare = resized - positions.shape[1]
    if padding is None:
        return weights[positions + round(spare / 2)].expand(n, -1, -1)
    offset = dice.uniform(n, 1).mul_(spare + 2 * padding + 1).floor_().long() - padding
    index = positions + offset
    if mode == "reflect":
        return weights[reflect(index, resized)]
    weights = weights[index.clamp(0, resized - 1)]
    inside = (index >= 0) & (index < resized)
    return weights * inside[..., None] if mode == "constant" else weights


def blur(x: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of (n, 3, S, S) with one ``sigma`` (n,) per sample, reflecting at the border."""
    size = x.shape[-1]
    radius = blur_radius(size)
    offset = torch.arange(-radius, radius + 1, device=x.device)
    kernel = (-0.5 * (offset / sigma[:, None]).square()).softmax(1)
    seen = reflect(torch.arange(size, device=x.device)[:, None] + offset, size)  # (S, taps): the pixel under each tap
    shape = (len(x), *seen.shape)
    weights = x.new_zeros(len(x), size, size).scatter_add_(2, seen.expand(shape), kernel[:, None].expand(shape))
    return resample(x, weights, weights)


def _random_blur(x: Tensor, dice: Dice) -> Tensor:
    return blur(x, dice.uniform(len(x), low=BLUR_SIGMA[0], high=BLUR_SIGMA[1]))


# --- colour: pixels in [0, 1] are overwritten, factors are (n, 1, 1, 1) ----------------------------------------------


def gray(x: Tensor) -> Tensor:
    """(n, 3, ...) -> (n, 1, ...)"""
    r, g, b = x.split(1, dim=1)
    return (GRAY[0] * r).add_(g, alpha=GRAY[1]).add_(b, alpha=GRAY[2])


def _blend(x: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return x.mul_(factor).add_(other.mul_(1 - factor)).clamp_(0, 1)


def brightness(x: Tensor, factor: Tensor) -> Tensor:
    return x.mul_(factor).clamp_(0, 1)


def contrast(x: Tensor, factor: Tensor) -> Tensor:
    return _blend(x, gray(x.mean((2, 3), keepdim=True)), factor)


def saturation(x: Tensor, factor: Tensor) -> Tensor:
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
    away = sixths - x.new_tensor([0, 2, 4]).view(3, 1, 1)
    away.sub_((away / 6).round_(), alpha=6).abs_()
    return away.neg_().add_(2).clamp_(0, 1).mul_(chroma).add_(low)


def jitter(x: Tensor, dice: Dice, strength: ColorJitter) -> Tensor:
    """Brightness, contrast, saturation and hue with factors per sample.

    One order is drawn for all samples of the batch: each sample on its own still sees every order equally often, and
    the work stays four operations on the whole batch.
    """
    for i in dice.order(4):
        change, most = (
            (brightness, strength.brightness),
            (contrast, strength.contrast),
            (saturation, strength.saturation),
            (hue, strength.hue),
        )[i]
        middle, least = (0, -most) if change is hue else (1, max(0, 1 - most))
        if most > 0:
            x = change(x, dice.uniform(len(x), 1, 1, 1, low=least, high=middle + most))
    return x


def grayscale(x: Tensor, dice: Dice) -> Tensor:
    return gray(x).repeat(1, 3, 1, 1)


def solarize(x: Tensor, dice: Dice) -> Tensor:
    return torch.where(x < 127.5 / 255, x, 1 - x)  # from 128 up once rounded to 8 bits


def equalize(x: Tensor, dice: Dice) -> Tensor:
    return F.equalize((x * 255).round_().to(torch.uint8)).to(x.dtype).div_(255)


def _add_noise(x: Tensor, dice: Dice, std: float) -> Tensor:
    return x.add_(dice.normal(x.shape), alpha=std)
