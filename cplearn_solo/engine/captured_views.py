"""Views captured once for each order of their colour operations, and replayed.

The host draws the order, as it does without graphs, and picks the graph. All other random numbers are drawn in the
graph, by the same generator and with the same values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice, permutations

import torch
from torch import Tensor

from cplearn_solo.data import Augmentation, BatchAugment
from cplearn_solo.data.colour import JITTER
from cplearn_solo.data.random_source import RandomSource
from cplearn_solo.engine.captured import Capture, Replay

Order = tuple[int, ...]


class CapturedViews:
    """Does what ``BatchAugment(augmentations, mean, std)`` does, on batches whose shapes never change.

    The first batch is augmented without a graph; the views of the next batch overwrite these.
    """

    def __init__(
        self, augmentations: Sequence[Augmentation], mean: Sequence[float], std: Sequence[float], capture: Capture
    ) -> None:
        self._augmentations, self._capture = augmentations, capture
        self._augment = [BatchAugment([augmentation], mean, std) for augmentation in augmentations]
        self._images: list[Tensor] = []
        # for each augmentation
        self._inputs: list[Tensor | list[Tensor]] = []
        self._views: list[list[Tensor]] = []
        self._replays: list[dict[Order, Replay]] = []

    def __call__(self, images: Tensor | list[Tensor], generator: torch.Generator) -> list[Tensor]:
        given = images if isinstance(images, list) else [images]
        random = RandomSource(generator, given[0].device)
        if not self._views:
            self._images = [x.clone() for x in given]
            self._inputs = list(self._shared_out(in_memory=isinstance(images, Tensor)))
            self._views = [augment.drawn(x, random) for augment, x in zip(self._augment, self._inputs)]
        else:
            self._replays = self._replays or self._recorded(generator)
            for place, x in zip(self._images, given, strict=True):
                place.copy_(x)
            for augmentation, replays in zip(self._augmentations, self._replays):
                replays[tuple(random.order(_operations(augmentation)))]()
        return [view for views in self._views for view in views]

    def _shared_out(self, *, in_memory: bool) -> Iterable[Tensor | list[Tensor]]:
        """The input of each augmentation: all images if they are in memory, otherwise its own crops."""
        crops = iter(self._images)
        for augmentation in self._augmentations:
            yield self._images[0] if in_memory else list(islice(crops, augmentation.num_crops))

    def _recorded(self, generator: torch.Generator) -> list[dict[Order, Replay]]:
        device = self._images[0].device
        pool = torch.cuda.graph_pool_handle() if device.type == "cuda" else None  # only views outlast a replay
        record = partial(self._capture, generator=generator, pool=pool)
        return [
            {
                order: record(partial(self._fill, number, Ordered(order, generator, device)))[1]
                for order in permutations(range(_operations(augmentation)))
            }
            for number, augmentation in enumerate(self._augmentations)
        ]

    def _fill(self, number: int, random: RandomSource) -> None:
        for place, view in zip(self._views[number], self._augment[number].drawn(self._inputs[number], random)):
            place.copy_(view)


class Ordered(RandomSource):
    """A random source whose ``order`` is given."""

    def __init__(self, order: Order, generator: torch.Generator, device: torch.device) -> None:
        super().__init__(generator, device)
        self._order = order

    def order(self, n: int) -> list[int]:
        return list(self._order)


def _operations(augmentation: Augmentation) -> int:
    """The number of operations whose order is drawn."""
    return len(JITTER) if augmentation.color_jitter.prob > 0 else 0
