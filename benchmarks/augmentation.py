"""Views made as a batch against torchvision's transforms image by image: python benchmarks/augmentation.py

Both make two views of 64 images of 32 pixels from one distribution, in turns in one run; medians of five. A turn is ten
batches, or one batch image by image. Memory is the peak of a separate process, minus its memory after the imports.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from history import record
from plain_views import image_by_image
from shared import own_process, run, timed, turn_by_turn
from torchvision.transforms.v2.functional import to_pil_image

from cplearn_solo.data import Augmentation, BatchAugment
from cplearn_solo.data.schema import ColorJitter, Prob

USUAL = {"color_jitter": ColorJitter(0.8), "grayscale": Prob(0.2), "horizontal_flip": Prob(0.5), "num_crops": 2}
PIPELINES = {
    "crop and flip": Augmentation(horizontal_flip=Prob(0.5), num_crops=2),
    "and jitter, grayscale": Augmentation(**USUAL),
    "and blur, solarization": Augmentation(**USUAL, gaussian_blur=Prob(0.5), solarization=Prob(0.2)),
}
MEAN = STD = (0.5, 0.5, 0.5)
BATCHES = 10


def way(name: str, pipeline: str) -> Callable[[], None]:
    torch.manual_seed(0)
    images, aug = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8), PIPELINES[pipeline]
    if name == "batch":
        augment = BatchAugment([aug], MEAN, STD)
        return lambda: [augment(images) for _ in range(BATCHES)]
    pictures, transform = [to_pil_image(image) for image in images], image_by_image([aug])
    return lambda: [torch.stack(view) for view in zip(*map(transform, pictures))]


def main() -> None:
    names = ("image by image", "batch")
    megabytes = {(p, name): own_process(__file__, name, p)[0] for p in PIPELINES for name in names}
    print(f"{torch.get_num_threads()} threads; the transforms image by image use one")
    print(
        f"{'ms for two views of 64 images':30}{'image by image':>15}{'batch':>8}{'ratio':>8}{'memory':>9}{'batch':>9}"
    )
    found = {}
    for pipeline in PIPELINES:
        one, together = turn_by_turn({name: timed(way(name, pipeline)) for name in names}).values()
        found[pipeline] = together / BATCHES / one
        line = f"{pipeline:30}{1e3 * one:15.1f}{1e3 * together / BATCHES:8.1f}{found[pipeline]:7.3f}x"
        print(line + "".join(f"{megabytes[pipeline, name]:6.0f} MB" for name in names), flush=True)
    record(__file__, found)


if __name__ == "__main__":
    run(main, lambda name, pipeline: way(name, pipeline)())
