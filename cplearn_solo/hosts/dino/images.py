"""DINO's data set, which replaces images that cannot be read."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from cplearn_solo.core.errors import InputError
from cplearn_solo.data.decoding import decode, is_image_name
from cplearn_solo.data.schema import DataConfig
from cplearn_solo.data.tally import NAMED, allowed


class PatientImageFolder(ImageFolder):
    """Decodes like our own trainer. If an image cannot be read, the next one is used instead.

    Raises ``InputError`` if all images, or more than three and more than 1 %, cannot be read.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, loader=_load, is_valid_file=is_image_name, **kwargs)
        self.unreadable = torch.zeros(len(self), dtype=torch.bool).share_memory_()  # shared by all data workers

    def __getitem__(self, index: int) -> tuple[Any, int]:
        while True:
            try:
                return super().__getitem__(index)
            except InputError as error:
                self.unreadable[index] = True
                if self.unreadable.all() or self.unreadable.sum() > allowed(DataConfig.max_unreadable, len(self)):
                    raise InputError(f"{self.skipped()}, the last one for: {error}") from None
            index = (index + 1) % len(self)

    def skipped(self) -> str:
        """How many of all images were found unreadable, and the first of these; empty for none."""
        found = self.unreadable.nonzero().flatten().tolist()
        first = ", ".join(self.samples[i][0] for i in found[:NAMED])
        return f"{len(found)} of {len(self)} images cannot be read, such as {first}" if found else ""


def _load(path: str) -> Image.Image:
    return decode(path).image
