"""Decoding against Pillow's ``open`` and ``convert`` alone: python benchmarks/decoding.py

Both make RGB images of 8-bit files, in turns in one run. Files are read from memory, so disks do not matter. Medians of
51 turns of 20 images each.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
from history import record
from PIL import Image
from shared import timed, turn_by_turn
from sklearn.datasets import load_sample_image

from cplearn_solo.data.decoding import EncodedImage, decode

IMAGES, TURNS = 20, 51
KINDS = {
    "JPEG 500x375": ("JPEG", (500, 375), {"quality": 90}),
    "JPEG 500x375 with EXIF": ("JPEG", (500, 375), {"quality": 90, "exif": b""}),
    "JPEG 64x48": ("JPEG", (64, 48), {"quality": 90}),
    "PNG 500x375": ("PNG", (500, 375), {}),
    "PNG 32x32": ("PNG", (32, 32), {}),
    "grey PNG 28x28": ("PNG", (28, 28), {}),
}


def encoded(name: str) -> bytes:
    kind, size, options = KINDS[name]
    image = Image.fromarray(np.asarray(load_sample_image("china.jpg"))).resize(size, Image.Resampling.LANCZOS)
    if "exif" in options:
        exif = Image.Exif()
        exif[0x010F], exif[0x0112] = "a camera", 1
        options = options | {"exif": exif}
    file = BytesIO()
    (image.convert("L") if "grey" in name else image).save(file, kind, **options)
    return file.getvalue()


def pillow_alone(data: bytes) -> Image.Image:
    with Image.open(BytesIO(data)) as image:
        return image.convert("RGB")


def several(work: Callable[[], object]) -> Callable[[], float]:
    return timed(lambda: [work() for _ in range(IMAGES)])


def main() -> None:
    print(f"{'ms an image':26}{'Pillow':>8}{'ours':>8}{'ratio':>8}")
    ratios = {}
    for name in KINDS:
        data = encoded(name)
        ways = {"Pillow": lambda d=data: pillow_alone(d), "ours": lambda d=data: decode(EncodedImage(d, "a file"))}
        alone, ours = turn_by_turn({way: several(work) for way, work in ways.items()}, rounds=TURNS).values()
        ratios[name] = ours / alone
        print(f"{name:26}{1e3 * alone / IMAGES:8.3f}{1e3 * ours / IMAGES:8.3f}{ours / alone:7.3f}x", flush=True)
    record(__file__, ratios)


if __name__ == "__main__":
    main()
