"""Embedding image files against what a backbone, and decoding, allow: python benchmarks/embedding.py [IMAGES]

First: a ResNet-18 with seeded weights embeds IMAGES (1,024) PNGs of 64 x 64 pixels into a .parquet with codes. The
reference is the backbone alone on the same normalised batches in memory, with all threads. Images per second of wall
time.

Then: 512 JPEGs of 500 x 375 pixels at 224, with one thread, no worker, few codes and a backbone that costs nothing, as
a backbone on a GPU costs the processor nothing. The references are decoding alone, and the views alone: decoded,
resized, cut and normalised. Images per second of processor time. All take turns; medians of three.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import torch
from history import record
from photographs import USUAL, write_photographs
from shared import short_run, timed, turn_by_turn
from torch import Tensor, nn
from torchvision.utils import save_image

from cplearn_solo.data import Normalise, eval_loader
from cplearn_solo.data.decoding import decode
from cplearn_solo.engine.checkpoint import checkpoint_entry
from cplearn_solo.engine.module import Pretrainer
from cplearn_solo.inference.embed import embed
from cplearn_solo.inference.images import images_at
from cplearn_solo.inference.pretrained import Pretrained, load_pretrained

SIDE, BATCH, ROUNDS = 64, 128, 3
PHOTOGRAPHS, CROP, FEW = 512, 224, 16  # images, pixels, codes


def untrained(folder: Path, side: int, **method_kwargs: int) -> Pretrained:
    """CPLearn on an untrained ResNet-18, for images of that side."""
    view = {"crop_size": side, "num_crops": 2}
    changes = {"augmentations": [view], "method_kwargs": method_kwargs}
    config = short_run(str(folder), epochs=1, shipped="cifar_resnet18/cplearn.yaml", **changes)
    statistics = {"num_classes": 10, "mean": [0.5] * 3, "std": [0.25] * 3}
    torch.manual_seed(0)
    state = {"state_dict": Pretrainer(config, **statistics).state_dict(), **checkpoint_entry(config, **statistics)}
    torch.save(state, folder / "model.ckpt")
    return load_pretrained(folder / "model.ckpt")


def backbone_alone(model: Pretrained, batches: tuple[torch.Tensor, ...]) -> Callable[[], None]:
    @torch.no_grad()
    def work() -> None:
        for batch in batches:
            model.backbone(batch)

    return work


class Nothing(nn.Module):
    """A backbone whose features ``(n, 512)`` cost nothing."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :512]


def small_images(folder: Path, n: int) -> dict[str, float]:
    (folder / "images").mkdir()
    for i, image in enumerate(torch.rand(n, 3, SIDE, SIDE)):
        save_image(image, folder / f"images/{i:06d}.png")
    model, number = untrained(folder, SIDE), count()
    images = images_at(model, str(folder / "images"))
    write = partial(embed, model, images, batch_size=BATCH)
    batches = torch.randn(n, 3, SIDE, SIDE).split(BATCH)
    ways = {
        "backbone alone": timed(backbone_alone(model, batches)),
        "embed": timed(lambda: write(folder / f"{next(number)}.parquet")),
    }
    return shown(f"{n} PNGs of {SIDE} x {SIDE}, by the clock", n, turn_by_turn(ways, rounds=ROUNDS))


def photographs(folder: Path) -> dict[str, float]:
    torch.set_num_threads(1)
    write_photographs(folder / "photographs", PHOTOGRAPHS, USUAL)
    model, number = replace(untrained(folder, CROP, proj_output_dim=FEW), backbone=Nothing()), count()
    images = images_at(model, str(folder / "photographs"))
    loader = eval_loader(images, crop_size=CROP, batch_size=BATCH, num_workers=0)
    normalise = Normalise(images.mean, images.std)
    write = partial(embed, model, images, batch_size=BATCH, num_workers=0)
    ways = {
        "decoding alone": timed(lambda: [decode(source) for source in images.sources], time.process_time),
        "views alone": timed(lambda: [len(normalise(batch)) for _, batch, _ in loader], time.process_time),
        "embed": timed(lambda: write(folder / f"photographs{next(number)}.parquet"), time.process_time),
    }
    spent = turn_by_turn(ways, rounds=ROUNDS)
    return shown(f"{PHOTOGRAPHS} JPEGs of 500 x 375 at {CROP}, of the processor", PHOTOGRAPHS, spent)


def shown(what: str, n: int, spent: dict[str, float]) -> dict[str, float]:
    """Prints images per second; returns the ratios of ``embed`` to the other ways."""
    print(what)
    ratios = {}
    for name, seconds in spent.items():
        ratio = seconds / spent["embed"]
        beside = "" if name == "embed" else f"{ratio:8.2f}x of it by embed, asked is at least 0.90x"
        print(f"  {name:16}{n / seconds:8.0f} images a second{beside}", flush=True)
        if name != "embed":
            ratios[name] = ratio
    return ratios


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    with tempfile.TemporaryDirectory() as name:
        ratios = small_images(Path(name), n) | photographs(Path(name))
    record(__file__, ratios)


if __name__ == "__main__":
    main()
