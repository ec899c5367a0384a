"""Views of a whole batch at once, on any device: of images in memory, or of crops that file workers have cut."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice

import torch
from torch import Tensor

from cplearn_solo.data.checks import check_augmentation
from cplearn_solo.data.colour import Operation, draw_jitter, draw_noise, equalize, grayscale, solarize
from cplearn_solo.data.geometry import draw_blur, random_resized_crop, resize_and_crop
from cplearn_solo.data.random_source import RandomSource
from cplearn_solo.data.schema import Augmentation

PART = 1 << 17  # values that a thread takes through all operations at a time; they fit into a cache


class BatchAugment:
    """uint8 images (n, c, H, W) -> the list of their views, one float (n, c, S, S) tensor per crop, normalised.

    The input may also be the list of crops that ``data.crops`` has cut, uint8 (n, c, S, S), whose geometry is done
    already. Views come in the order of ``augmentations``, ``num_crops`` of each, which are drawn together as one larger
    batch. Raises ``InputError`` for an invalid augmentation.
    """

    def __init__(self, augmentations: Sequence[Augmentation], mean: Sequence[float], std: Sequence[float]) -> None:
        for aug in augmentations:
            check_augmentation(aug)
        self.pipelines = [(_geometry(aug), _colour(aug), aug.num_crops) for aug in augmentations]
        self.normalise = Normalise(mean, std)

    def __call__(self, images: Tensor | list[Tensor], generator: torch.Generator | None = None) -> list[Tensor]:
        return self.drawn(images, RandomSource(generator, images[0].device))

    @torch.no_grad()
    def drawn(self, images: Tensor | list[Tensor], random: RandomSource) -> list[Tensor]:
        """The same views, drawn with ``random``."""
        views = []
        with torch.autocast(random.device.type, enabled=False):  # half precision has fewer levels than 8-bit pixels
            for x, (_, colour, crops) in zip(self._crops(images, random), self.pipelines):
                views += self._finished(x, colour, random).chunk(crops)
        return views

    def _crops(self, images: Tensor | list[Tensor], random: RandomSource) -> Iterator[Tensor]:
        """The crops of each pipeline in turn, drawn lazily."""
        if isinstance(images, list):
            given = iter(images)
            yield from (torch.cat(list(islice(given, crops))) for *_, crops in self.pipelines)
        else:
            pixels = images.float().div_(255)
            yield from (geometry(pixels.repeat(crops, 1, 1, 1), random) for geometry, _, crops in self.pipelines)

    def _finished(self, x: Tensor, colour: list[Draw], random: RandomSource) -> Tensor:
        """Colour and normalisation of pixels: uint8, or floats in [0, 1], which are overwritten."""
        operations = [draw(x.shape, random) for draw in colour]

        def finished(rows: slice) -> Tensor:
            part = x[rows] if x.is_floating_point() else x[rows].float().div_(255)
            for operation in operations:
                part = operation(part, rows)
            return self.normalise(part)

        parts = _parts(x)
        if len(parts) == 1:
            return finished(*parts)
        done = x if x.is_floating_point() else torch.empty(x.shape, device=x.device)
        for rows in parts:
            done[rows] = finished(rows)
        return done


def _parts(x: Tensor) -> list[slice]:
    """Slices of rows that are processed together; on a GPU one of all rows."""
    n = len(x) if x.is_cuda else max(1, torch.get_num_threads() * PART // x[0].numel())
    return [slice(start, min(start + n, len(x))) for start in range(0, len(x), n)]


class Normalise:
    """(x - ``mean``) / ``std`` of pixels x (n, c, H, W), uint8, or floats in [0, 1], which are overwritten."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean, self.std = (torch.tensor(tuple(values)).view(-1, 1, 1) for values in (mean, std))

    def __call__(self, pixels: Tensor) -> Tensor:
        if self.mean.device != pixels.device:  # moved at the first batch
            self.mean = self.mean.to(pixels.device, non_blocking=True)
            self.std = self.std.to(pixels.device, non_blocking=True)
        x = pixels if pixels.is_floating_point() else pixels.float().div_(255)
        return x.sub_(self.mean).div_(self.std)


Geometry = Callable[[Tensor, RandomSource], Tensor]
Draw = Callable[[Sequence[int], RandomSource], Operation]  # from the shape of a batch


def _geometry(aug: Augmentation) -> Geometry:
    """The geometry of one view of images in memory."""
    pad, flip, size = aug.random_crop, aug.horizontal_flip.prob, aug.crop_size
    if aug.rrc.enabled:
        scale = (aug.rrc.crop_min_scale, aug.rrc.crop_max_scale)
        return partial(random_resized_crop, size=size, scale=scale, flip=flip)
    padding = pad.padding if pad.enabled else None
    return partial(resize_and_crop, size=size, padding=padding, mode=pad.padding_mode, flip=flip)


def _colour(aug: Augmentation) -> list[Draw]:
    """The operations of one view after its geometry that have an effect; each may overwrite its input."""
    optional = [
        (aug.color_jitter.prob, partial(draw_jitter, strength=aug.color_jitter)),
        (aug.grayscale.prob, partial(_nothing_drawn, operation=grayscale)),
        (aug.gaussian_blur.prob, draw_blur),
        (aug.solarization.prob, partial(_nothing_drawn, operation=solarize)),
        (aug.equalization.prob, partial(_nothing_drawn, operation=equalize)),
    ]
    steps = [partial(_draw_chosen, prob=prob, draw=draw) for prob, draw in optional if prob > 0]
    return steps + ([partial(draw_noise, std=aug.gaussian_noise.std)] if aug.gaussian_noise.std > 0 else [])


def _nothing_drawn(shape: Sequence[int], random: RandomSource, operation: Callable[[Tensor], Tensor]) -> Operation:
    return lambda x, rows: operation(x)


def _draw_chosen(shape: Sequence[int], random: RandomSource, prob: float, draw: Draw) -> Operation:
    """The operation, applied to each sample with probability ``prob``."""
    if prob >= 1:
        return draw(shape, random)
    chosen = random.uniform(shape[0]) < prob
    if _computes_all(random.device):
        everywhere = draw(shape, random)
        return lambda x, rows: torch.where(chosen[rows, None, None, None], everywhere(x.clone(), rows), x)
    index = chosen.nonzero().flatten().tolist()
    operation = draw((len(index), *shape[1:]), random) if index else None

    def where_chosen(x: Tensor, rows: slice) -> Tensor:
        among = slice(bisect_left(index, rows.start), bisect_left(index, rows.stop))
        here = [i - rows.start for i in index[among]]
        if len(here) in (0, len(x)):
            return operation(x, among) if here else x
        here = torch.tensor(here, device=x.device)
        return x.index_copy_(0, here, operation(x[here], among))

    return where_chosen


def _computes_all(device: torch.device) -> bool:
    """Whether an operation is computed for all samples: on a GPU, where counting the chosen ones would mean a wait."""
    return device.type == "cuda"
