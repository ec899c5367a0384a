"""Scenes of coloured digits in COCO's format: a data set that needs no download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from PIL import Image

from cplearn_solo.core.files import write_json
from cplearn_solo.data import DataConfig, load_splits
from cplearn_solo.detection.annotations import pycocotools

SIZE = 64  # pixels of a side
DIGITS = (2, 5)  # in a scene, at least and at most
SIDES = (12, 20)  # pixels of a digit
VISIBLE = 96  # least brightness, of 255, of a pixel of the digit
TRIES = 50  # attempts to place a digit in a free area


def draw_scenes(folder: Path, scenes: int, seed: int) -> None:
    """Writes ``train.json`` and ``val.json`` with ``scenes`` PNGs each to ``folder``, the same for the same seed.

    Scenes to score have digits of the test split of scikit-learn's digits, which are not trained on.
    """
    splits = load_splits(DataConfig(dataset="digits"), seed=0)
    for place, (part, digits) in enumerate((("train", splits.train), ("val", splits.test))):
        rng = np.random.default_rng([seed, place])
        images, labels = digits.images[:, 0].numpy(), digits.labels.numpy()
        (folder / part).mkdir(parents=True, exist_ok=True)
        values: dict[str, Any] = {"images": [], "annotations": []}
        for number in range(scenes):
            name = f"{part}/{number:05}.png"
            pixels, objects = _scene(rng, images, labels)
            Image.fromarray(pixels).save(folder / name)
            values["images"].append({"id": number, "file_name": name, "width": SIZE, "height": SIZE})
            values["annotations"] += [{**each, "image_id": number} for each in objects]
        for number, each in enumerate(values["annotations"], 1):
            each["id"] = number
        values["categories"] = [{"id": digit, "name": str(digit)} for digit in range(10)]
        write_json(folder / f"{part}.json", values, indent=None)


def _scene(rng: Generator, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Pixels ``(SIZE, SIZE, 3)`` of digits on a dark, noisy background, and their annotations."""
    mask = pycocotools("mask")
    pixels = rng.uniform(0, 60, 3) + rng.normal(0, 12, (SIZE, SIZE, 3))
    taken, objects = np.zeros((SIZE, SIZE), bool), []
    for _ in range(rng.integers(*DIGITS, endpoint=True)):
        which, side = rng.integers(len(images)), int(rng.integers(*SIDES, endpoint=True))
        digit = np.asarray(Image.fromarray(images[which]).resize((side, side), Image.Resampling.BICUBIC))
        colour = rng.uniform(120, 255, 3)
        for _ in range(TRIES):
            top, left = rng.integers(SIZE - side, size=2)
            area = np.s_[top : top + side, left : left + side]
            if not taken[area].any():
                break
        else:
            continue
        taken[area] = True
        pixels[area] += digit[..., None] / 255 * (colour - pixels[area])
        whole = np.zeros((SIZE, SIZE), np.uint8, order="F")
        whole[area] = digit >= VISIBLE
        code = mask.encode(whole)
        objects.append(
            {
                "category_id": int(labels[which]),
                "bbox": mask.toBbox(code).tolist(),
                "area": int(mask.area(code)),
                "segmentation": {"size": code["size"], "counts": code["counts"].decode()},
                "iscrowd": 0,
            }
        )
    return pixels.clip(0, 255).astype(np.uint8), objects
