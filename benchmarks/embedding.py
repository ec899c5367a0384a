"""Embedding image files against the backbone alone on images in memory: python benchmarks/embedding.py [IMAGES]

ResNet-18 with seeded weights on IMAGES (1,024) PNGs of 64 x 64 pixels, to a .parquet with their codes. Both take
turns, medians of three; the backbone has the same batches, normalised, and all threads. Images a second, by the clock.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import torch
from history import record
from shared import short_run, timed, turn_by_turn
from torchvision.utils import save_image

from cplearn_solo.engine.checkpoint import checkpoint_entry
from cplearn_solo.engine.module import Pretrainer
from cplearn_solo.inference.embed import embed
from cplearn_solo.inference.images import images_at
from cplearn_solo.inference.pretrained import Pretrained, load_pretrained

SIDE, BATCH, ROUNDS = 64, 128, 3


def untrained(folder: Path) -> Pretrained:
    """CPLearn on a ResNet-18, for images of that side."""
    view = {"crop_size": SIDE, "num_crops": 2}
    config = short_run(str(folder), epochs=1, shipped="cifar_resnet18/cplearn.yaml", augmentations=[view])
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


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    with tempfile.TemporaryDirectory() as name:
        folder, number = Path(name), count()
        (folder / "images").mkdir()
        for i, image in enumerate(torch.rand(n, 3, SIDE, SIDE)):
            save_image(image, folder / f"images/{i:06d}.png")
        model = untrained(folder)
        images = images_at(model, str(folder / "images"))
        write = partial(embed, model, images, batch_size=BATCH)
        batches = torch.randn(n, 3, SIDE, SIDE).split(BATCH)
        ways = {
            "backbone alone": timed(backbone_alone(model, batches)),
            "embed": timed(lambda: write(folder / f"{next(number)}.parquet")),
        }
        spent = turn_by_turn(ways, rounds=ROUNDS)
    for name, seconds in spent.items():
        print(f"{name:16}{n / seconds:8.0f} images a second")
    ratio = spent["backbone alone"] / spent["embed"]
    print(f"{'ratio':16}{ratio:8.2f}x, asked is at least 0.90x")
    record(__file__, {"images a second": ratio})


if __name__ == "__main__":
    main()
