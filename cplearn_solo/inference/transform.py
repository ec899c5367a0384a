"""From an image in memory to the input of a trained backbone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from cplearn_solo.config import Config
from cplearn_solo.core.errors import InputError, require
from cplearn_solo.data import Normalise
from cplearn_solo.data.centre import centre, sides_of_files
from cplearn_solo.data.crops import as_tensor
from cplearn_solo.data.decoding import Decoding, decode_opened
from cplearn_solo.data.decoding.samples import Limits


@dataclass(frozen=True)
class Transform:
    """An image to normalised pixels ``(c, crop_size, crop_size)``, float32: the view of image files that is scored.

    Takes PIL images of any mode, read as the run reads files, and tensors ``(c, h, w)``, uint8 or floats in [0, 1]; a
    batch ``(n, c, h, w)`` gives a batch. The shorter side is resized, the centre kept, ``mean`` and ``std`` applied.
    ``InputError`` for other channels than the run's, and for images that would be refused in a file.

    A JPEG is decoded at full scale, in files at a lower scale if that suffices: the views differ by about a grey level.
    """

    crop_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    decoding: Decoding

    @classmethod
    def of(cls, config: Config, mean: list[float], std: list[float], limits: Limits | None) -> Transform:
        """The transform of a run with this configuration, whose training images have the other values."""
        return cls(config.augmentations[0].crop_size, tuple(mean), tuple(std), Decoding.of(config.data, limits))

    def __call__(self, image: Image.Image | Tensor) -> Tensor:
        pixels = self._pixels(image)
        view = centre(pixels, *sides_of_files(self.crop_size))
        if view.is_floating_point():
            view = view.clamp(0, 1)  # the filter overshoots at edges
        return Normalise(self.mean, self.std)(view.contiguous())

    def _pixels(self, image: Image.Image | Tensor) -> Tensor:
        if isinstance(image, Image.Image):
            return as_tensor(decode_opened(image, self.decoding))
        if not isinstance(image, Tensor):
            raise InputError(f"image = {type(image).__name__}: must be a PIL image or a tensor")
        shape, channels = tuple(image.shape), self.decoding.channels
        fits = len(shape) in (3, 4) and shape[-3] == channels and min(shape) > 0
        require(fits, "image", shape, f"of shape ({channels}, height, width) or (n, {channels}, height, width)")
        if image.is_floating_point():
            low, high = image.aminmax()
            within = bool(low >= 0 and high <= 1)
            require(within, "image", f"{low:.4g} to {high:.4g}", "uint8, or floats in [0, 1]")
            return image.float()
        require(image.dtype == torch.uint8, "image", str(image.dtype), "uint8, or floats in [0, 1]")
        return image
