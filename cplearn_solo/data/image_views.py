"""The view of an image that is scored, for images that are decoded in worker processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

Pipeline = Callable[[Image.Image], Tensor]
BICUBIC = v2.InterpolationMode.BICUBIC


def eval_image(crop_size: int, mean: Sequence[float], std: Sequence[float]) -> Pipeline:
    """RGB image of any size -> its centre, float (3, crop_size, crop_size), normalised.

    Above 64 pixels the shorter side is first resized to 256/224 of the crop, as is customary for photographs.
    """
    resized = round(crop_size * 256 / 224) if crop_size > 64 else crop_size
    return v2.Compose(
        [
            v2.Resize(resized, BICUBIC),
            v2.CenterCrop(crop_size),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(list(mean), list(std)),
            v2.ToPureTensor(),
        ]
    )
