"""DINO's data set, going on where an image cannot be read."""

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
    """Decodes as our own trainer does and takes the next image for one that cannot be read.

    ``InputError`` once these are more than 1 %, and more than three or all.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, loader=_load, is_valid_file=is_image_name, **kwargs)
        self.unreadable = torch.zeros(len(self), dtype=torch.bool).share_memory_()  # of all data workers

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
        """How many images of how many have been found unreadable, and the first of them; empty for none."""
        found = self.unreadable.nonzero().flatten().tolist()
        first = ", ".join(self.samples[i][0] for i in found[:NAMED])
        return f"{len(found)} of {len(self)} images cannot be read, such as {first}" if found else ""


def _load(path: str) -> Image.Image:
    return decode(path).image
