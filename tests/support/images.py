"""Made-up images that several tests share."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
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


def write_images(folder: Path, names: list[str], seed: int = 0) -> None:
    """Image files of 20 x 24 pixels of noise below ``folder``."""
    for name, image in zip(names, noise_images(len(names), 20, 24, seed)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pil(image).save(folder / name)


def encode(image: torch.Tensor) -> bytes:
    """The bytes of a PNG file."""
    buffer = io.BytesIO()
    pil(image).save(buffer, "PNG")
    return buffer.getvalue()


def write_parquet(path: Path, images, labels, names=None, struct: bool = True, column: str = "img") -> str:
    """A parquet file of encoded images, in the layout of the Hugging Face hub if there are ``names`` of classes."""
    data = [encode(image) if isinstance(image, torch.Tensor) else image for image in images]
    cells = pa.array([{"bytes": d, "path": None} for d in data]) if struct else pa.array(data, pa.binary())
    table = pa.table({column: cells, **({} if labels is None else {"label": pa.array(labels)})})
    if names:
        info = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return str(path)
