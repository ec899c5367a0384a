"""Cropping, resizing, padding, flipping and blurring of a whole batch.

All of these act on rows and columns separately. Each is therefore one matrix per sample for the rows and one for the
columns, and is computed by two batched matrix products.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import torch
from torch import Tensor

from cplearn_solo.data.colour import Operation
from cplearn_solo.data.random_source import RandomSource

ASPECT = (3 / 4, 4 / 3)
LOG_ASPECT = torch.tensor(ASPECT).log().tolist()
BLUR_SIGMA = (0.1, 2.0)  # pixels
BLUR_RADIUS = 6  # pixels: three of the widest sigmas
BLOCK = 32  # output pixels of a blur that are computed together


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
    # Keys' cubic with a = -0.5 as truncated powers: the term in q is not 0 for t < 2, the term in p for t < 1.
    p, q = (1 - t).relu_(), (2 - t).relu_()  # in place from here on: fresh memory costs more than the arithmetic
    weights = (q - 1).mul_(q).mul_(q).mul_(0.5).add_((p * -2).add_(1).mul_(p).mul_(p))
    weights.mul_((pixel > start) & (pixel < start + length))
    return weights.div_(weights.sum(-1, keepdim=True))


def reflect(index: Tensor, size: int) -> Tensor:
    """Mirrors indices at most ``size - 1`` outside of 0..size-1 into this range, without repeating the border."""
    return (size - 1) - ((size - 1) - index.abs()).abs()


def random_boxes(
    n: int, height: int, width: int, scale: tuple[float, float], random: RandomSource
) -> tuple[Tensor, ...]:
    """top, left, height and width, each (n,) float integers, distributed like torchvision's RandomResizedCrop.

    Ten boxes are drawn per sample: the result is the first that fits into the image, or the central one if none does.
    """
    area = height * width * random.uniform(n, 10, low=scale[0], high=scale[1])
    aspect = random.uniform(n, 10, low=LOG_ASPECT[0], high=LOG_ASPECT[1]).exp_()
    w, h = (area * aspect).sqrt_().round_(), (area / aspect).sqrt_().round_()
    fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    first = fits.byte().argmax(1, keepdim=True)
    found = fits.any(1)
    central = central_box(height, width)
    h = torch.where(found, h.gather(1, first).squeeze(1), central[2])
    w = torch.where(found, w.gather(1, first).squeeze(1), central[3])
    at = random.uniform(2, n)
    top = torch.where(found, (at[0] * (height - h + 1)).floor_(), central[0])
    left = torch.where(found, (at[1] * (width - w + 1)).floor_(), central[1])
    return top, left, h, w


def random_box(height: int, width: int, scale: tuple[float, float], random: Random) -> tuple[int, int, int, int]:
    """:func:`random_boxes` for one image, without tensors: top, left, height and width."""
    for _ in range(10):
        area, aspect = height * width * random.uniform(*scale), math.exp(random.uniform(*LOG_ASPECT))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return random.randint(0, height - h), random.randint(0, width - w), h, w
    return central_box(height, width)


def central_box(height: int, width: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of the largest central box with an aspect in range."""
    w = width if width <= height * ASPECT[1] else round(height * ASPECT[1])
    h = height if width >= height * ASPECT[0] else round(width / ASPECT[0])
    return (height - h) // 2, (width - w) // 2, h, w


def _output_pixels(n: int, size: int, flip: float, random: RandomSource) -> Tensor:
    """Output pixels (n or 1, size), in reverse for samples that are flipped."""
    forward = torch.arange(size, device=random.device)[None]
    if flip == 0:
        return forward
    return torch.where(random.uniform(n, 1) < flip, forward.flip(1), forward)


def random_resized_crop(x: Tensor, random: RandomSource, size: int, scale: tuple[float, float], flip: float) -> Tensor:
    """A random box, whose share of the image's area is in the range ``scale``, resized to ``size`` pixels a side."""
    n, _, height, width = x.shape
    top, left, h, w = random_boxes(n, height, width, scale, random)
    rows = bicubic_weights(top, h, _output_pixels(n, size, 0.0, random), height)
    columns = bicubic_weights(left, w, _output_pixels(n, size, flip, random), width)
    return resample(x, rows, columns)


def resize_and_crop(x: Tensor, random: RandomSource, size: int, padding: int | None, mode: str, flip: float) -> Tensor:
    """Shorter side resized to ``size``; then the centre (padding None), or a random crop of the padded image."""
    n, _, height, width = x.shape
    if (height, width) == (size, size) and padding is None and flip == 0:
        return x
    pixels_down, pixels_across = _output_pixels(n, size, 0.0, random), _output_pixels(n, size, flip, random)
    resized_height, resized_width = (int(size * side / min(height, width)) for side in (height, width))
    rows = _window_weights(n, height, resized_height, pixels_down, padding, mode, random)
    columns = _window_weights(n, width, resized_width, pixels_across, padding, mode, random)
    return resample(x, rows, columns)


def _window_weights(
    n: int, side: int, resized: int, positions: Tensor, padding: int | None, mode: str, random: RandomSource
) -> Tensor:
    """Weights (n, S, side) that resize a side, pad it, and keep a window of S = positions.shape[1] pixels."""
    whole = torch.arange(resized, device=random.device)[None]
    weights = bicubic_weights(whole.new_zeros(1), whole.new_full((1,), side), whole, side)[0]
    spare = resized - positions.shape[1]
    if padding is None:
        return weights[positions + round(spare / 2)].expand(n, -1, -1)
    offset = random.uniform(n, 1).mul_(spare + 2 * padding + 1).floor_().long() - padding
    index = positions + offset
    if mode == "reflect":
        return weights[reflect(index, resized)]
    weights = weights[index.clamp(0, resized - 1)]
    inside = (index >= 0) & (index < resized)
    return weights * inside[..., None] if mode == "constant" else weights


def blur(x: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of (n, c, S, S) with one ``sigma`` (n,) per sample, reflecting at the border."""
    x = x.contiguous()
    n, c, size, _ = x.shape
    radius = min(BLUR_RADIUS, size - 1)  # a reflection has only size - 1 pixels
    offset = torch.arange(-radius, radius + 1, device=x.device)
    kernel = (-0.5 * (offset / sigma[:, None]).square()).softmax(1)
    seen = reflect(torch.arange(size, device=x.device)[:, None] + offset, size)  # (S, taps): the pixel under each tap
    shape = (n, *seen.shape)
    weights = x.new_zeros(n, size, size).scatter_add_(2, seen.expand(shape), kernel[:, None].expand(shape))
    # Weights are zero outside of a band, so a block of output pixels needs only the input pixels near it.
    starts = range(0, size, BLOCK)
    blocks = [(slice(at, at + BLOCK), slice(max(0, at - radius), at + BLOCK + radius)) for at in starts]
    across, down = torch.empty_like(x), torch.empty_like(x)
    lines, blurred = (image.view(n, c * size, size) for image in (x, across))
    for block, near in blocks:
        torch.bmm(lines[..., near], weights[:, block, near].mT, out=blurred[..., block])
    for block, near in blocks:
        torch.matmul(weights[:, None, block, near], across[:, :, near], out=down[:, :, block])
    return down


def draw_blur(shape: Sequence[int], random: RandomSource) -> Operation:
    """Blur with one sigma per sample, drawn uniformly from ``BLUR_SIGMA``."""
    sigma = random.uniform(shape[0], low=BLUR_SIGMA[0], high=BLUR_SIGMA[1])
    return lambda x, rows: blur(x, sigma[rows])
