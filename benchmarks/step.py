"""An ordinary training step against a plain one: python benchmarks/step.py

The step is the engine's, as ``main_pretrain.py`` runs it on images in memory: loader, augmentation, backbone,
objective, online probe, optimizer, log. The plain step uses the same networks as most code does: torchvision's
transforms image by image, one backbone call per view in contiguous format, all logits and the released loss,
``torch.optim.Adam`` with defaults; no probe. The backbone alone is both views forward and backward, in the engine's
memory format. All take turns in one run; medians of five. Memory is the peak of a separate process, minus its memory
after the imports.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable

import torch
from engine_overhead import engine
from history import record
from objective import released
from plain_views import image_by_image
from shared import own_process, run, short_run, timed, turn_by_turn
from torchvision.transforms.v2.functional import to_pil_image

from cplearn_solo.config.schema import Config
from cplearn_solo.data import DATASETS, MemorySet
from cplearn_solo.engine.module import Pretrainer, image_statistics
from cplearn_solo.objective import tiles

# shipped configuration -> steps per turn of the engine; 64 images, two views of 32 pixels
SIZES = {"cifar_mini": 32, "cifar_resnet18": 2}
WAYS = ("plain", "backbone", "engine")


@DATASETS.register("noise")
def noise(*_: object) -> tuple[MemorySet, None]:
    pixels = torch.randint(0, 256, (2048, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return MemorySet(pixels, torch.arange(2048) % 10, 10), None


def configuration(size: str, folder: str, **changes: object) -> Config:
    data = {"dataset": "noise", "max_train_images": 64 * SIZES[size]}
    config = short_run(folder, epochs=2, shipped=f"{size}/cplearn.yaml", data=data, **changes)
    config.augmentations[0].crop_size = 32
    return config


def parts(size: str, folder: str, **performance: bool) -> tuple[Pretrainer, MemorySet]:
    torch.manual_seed(0)
    shown, _ = noise()
    return Pretrainer(configuration(size, folder, performance=performance), **image_statistics(shown)), shown


def plain(size: str, folder: str) -> Callable[[], None]:
    module, shown = parts(size, folder, disable_channel_last=True)
    config, backbone, method = module.config, module.backbone, module.method
    pictures = [to_pil_image(image) for image in shown.images[:64]]
    transform = image_by_image(config.augmentations[:1])
    kwargs = config.method_kwargs
    loss = released(64, kwargs["proj_hidden_dim"], kwargs["proj_output_dim"])
    optimizer = torch.optim.Adam([*backbone.parameters(), *method.parameters()], lr=1e-3)

    def step() -> None:
        views = [torch.stack(view) for view in zip(*map(transform, pictures))]
        optimizer.zero_grad()
        loss([method.embed(backbone(view)) for view in views]).backward()
        optimizer.step()

    return step


def backbone(size: str, folder: str) -> Callable[[], None]:
    module, _ = parts(size, folder)
    views = [torch.randn(64, 3, 32, 32) for _ in range(2)]

    def step() -> None:
        module.backbone.zero_grad()
        sum(module.encode(view).sum() for view in views).backward()

    return step


def way(name: str, size: str, folder: str) -> Callable[[], float]:
    if name == "plain":
        return timed(plain(size, folder))
    if name == "backbone":
        return timed(backbone(size, folder))
    precision = {"precision": "bf16-mixed"} if name == "engine, bf16" else {}
    return lambda: engine(configuration(size, folder, **precision))


def main() -> None:
    units = tiles.has_units(torch.device("cpu"), torch.bfloat16)
    names = (*WAYS, *(["engine, bf16"] if units else []))
    megabytes = {(size, name): own_process(__file__, name, size)[0] for size in SIZES for name in names}
    print(f"{torch.get_num_threads()} threads" + ("" if units else "; no units for bf16 here, so not measured"))
    print(f"{'64 images, two views of 32 pixels':36}{'ms a step':>10}{'of plain':>10}{'of backbone':>12}{'memory':>10}")
    found = {}
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            spent = turn_by_turn({name: way(name, size, folder) for name in names})
        for name in names:
            ratios = [f"{spent[name] / spent[other]:.2f}x" for other in ("plain", "backbone")]
            line = f"{size + ', ' + name:36}{1e3 * spent[name]:10.0f}{ratios[0]:>10}{ratios[1]:>12}"
            print(line + f"{megabytes[size, name]:7.0f} MB", flush=True)
            found[f"{size}, {name}"] = spent[name] / spent["plain"]
    record(__file__, found)


def two_steps(name: str, size: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        step = way(name, size, folder)
        step(), step()


if __name__ == "__main__":
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    run(main, two_steps)
