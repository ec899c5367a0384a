"""Made-up images that several tests share."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F


def smooth_image(height: int, width: int, seed: int = 0) -> Tensor:
    """A colourful uint8 image (3, height, width) without sharp edges, brighter on the left than on the right."""
    coarse = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(seed)) - torch.linspace(-0.2, 0.2, 5)
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
    return fine[0].clamp(0, 1).mul(255).round().to(torch.uint8)


def noise_images(n: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Uniform uint8 noise (n, 3, height, width)."""
    shape = (n, 3, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def pil(image: Tensor) -> Image.Image:
    return F.to_pil_image(image)
