"""The images of each code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cplearn_solo.album.seen import Seen


class Code(NamedTuple):
    """``size`` images, a ``share`` of all, have the code ``number``. Of those with a label, the share ``purity`` has
    the most frequent class, ``label``.

    ``rows`` are some of the kept images, from the most to the least sure; ``sure`` has the confidence of these two.
    """

    number: int
    size: int
    share: float
    label: int | None
    purity: float | None
    rows: list[int]
    sure: tuple[float, float] | None

    def card(self, classes: tuple[str, ...], place: Mapping[int, int]) -> dict[str, Any]:
        """What a page says of a code: its class by name, and its images by their ``place`` on the page."""
        label = None if self.label is None else class_name(classes, self.label)
        return {**self._asdict(), "label": label, "images": [place[row] for row in self.rows]}


def class_name(classes: tuple[str, ...], label: int) -> str:
    """The name of a class, or its number if it has none."""
    return classes[label] if label < len(classes) else str(label)


def by_code(seen: Seen, *, most: int, images: int) -> list[Code]:
    """The ``most`` largest codes, largest first, with at most ``images`` images each."""
    numbers, sizes = seen.codes.unique(return_counts=True)
    largest = sizes.argsort(descending=True, stable=True)[:most]
    return [_code(seen, int(numbers[i]), int(sizes[i]), images) for i in largest]


def _code(seen: Seen, number: int, size: int, images: int) -> Code:
    labels = seen.labels[(seen.codes == number) & (seen.labels >= 0)]
    counts = labels.bincount() if len(labels) else None
    label = None if counts is None else int(counts.argmax())
    purity = None if counts is None else counts[label].item() / len(labels)
    rows = _from_sure_to_unsure(seen, number, images)
    sure = (seen.confidence[seen.kept[rows[0]]].item(), seen.confidence[seen.kept[rows[-1]]].item()) if rows else None
    return Code(number, size, size / len(seen), label, purity, rows, sure)


def _from_sure_to_unsure(seen: Seen, number: int, images: int) -> list[int]:
    """Of the kept images of a code, the most and the least sure, and others at equal steps between them."""
    rows = (seen.codes[seen.kept] == number).nonzero().flatten()
    rows = rows[seen.confidence[seen.kept][rows].argsort(descending=True, stable=True)]
    steps: Tensor = torch.linspace(0, len(rows) - 1, min(images, len(rows))).round().long()
    return rows[steps].tolist()
