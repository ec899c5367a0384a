"""Images in files made into batches of views, or whole runs on them: python benchmarks/image_loading.py [CHECKOUT [N]]

Milliseconds of processor time per image, medians of five turns with one thread and no worker. The views are DINO's two
crops of 224 pixels and eight of 96, SimCLR's two of 224, and the centre crop of an evaluation, of JPEGs of 500 x 375
pixels and of 12 megapixels. The references run in a DataLoader with the same batches: torchvision's transforms as in
DINO and SimCLR, timm's evaluation transform, and the transforms of 0.2.0, image by image. "Colour elsewhere": colours
would be changed on a GPU, and only the remaining work of workers is measured. Parts are the decoder alone, at full
scale, and the loader without colour. One worker and two are compared by wall time. With CHECKOUT, another checkout of
this package, an epoch of DINO with a ViT-tiny on N (2,000) images of each size is trained by both, in wall time of the
whole command; 12 images of 12 megapixels repeat.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from pathlib import Path

import torch
from history import record
from omegaconf import OmegaConf
from photographs import LARGE, USUAL, write_photographs
from PIL import Image
from plain_views import Views, dino, image_by_image, simclr
from shared import timed, turn_by_turn
from timm.data import create_transform
from torch.utils.data import DataLoader, Dataset

from cplearn_solo.data import Augmentation, DataConfig, FileSet, eval_loader, load_splits, train_loader
from cplearn_solo.data.decoding import decode
from cplearn_solo.data.schema import RRC, ColorJitter, Prob

USUALLY = {"color_jitter": ColorJitter(0.8), "grayscale": Prob(0.2), "horizontal_flip": Prob(0.5)}
LARGE_CROP = {"rrc": RRC(True, 0.4, 1.0), "crop_size": 224}
SMALL_CROP = {"rrc": RRC(True, 0.05, 0.4), "crop_size": 96, "num_crops": 8}
DINO = [
    Augmentation(**USUALLY, **LARGE_CROP, gaussian_blur=Prob(1.0)),
    Augmentation(**USUALLY, **LARGE_CROP, gaussian_blur=Prob(0.1), solarization=Prob(0.2)),
    Augmentation(**USUALLY, **SMALL_CROP, gaussian_blur=Prob(0.5)),
]
STRONGLY = USUALLY | {"color_jitter": ColorJitter(0.8, 0.8, 0.8, 0.8, 0.2), "gaussian_blur": Prob(0.5)}
SIMCLR = [Augmentation(**STRONGLY, crop_size=224, num_crops=2)]

ASKED = {  # limits of the ratios below
    "2 + 8 crops: colour in workers": "at most 0.5x",
    "2 + 8 crops: colour elsewhere": "at most 0.17x",
    "2 crops of 224: colour in workers": "at most 0.35x",
    "2 crops of 224: colour elsewhere": "at most 0.15x",
    "12 megapixels, 2 + 8 crops: colour in workers": "at most 0.15x",
    "centre crop: ours": "at most 0.5x",
    "bytes an image between processes": "at most 0.25x of floats",
    "two workers": "at least 1.8x one's images a second",
    "a run on 12 megapixels": "at most 0.6x",
}
BATCH = 32


def main() -> None:
    ratios = {}
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            ratios |= whole_runs(Path(folder), sys.argv[1], int((*sys.argv, 2000)[2]))
        else:
            torch.set_num_threads(1)
            usual = write_photographs(Path(folder, "usual"), 64, USUAL)
            many = write_photographs(Path(folder, "many"), 128, USUAL)
            large = write_photographs(Path(folder, "large"), 6, LARGE)
            ratios |= processor_time(usual, large) | between_processes(many)
    record(__file__, ratios)


def processor_time(usual: list[str], large: list[str]) -> dict[str, float]:
    photographs, large_ones = file_set(usual), file_set(large)
    ways = {"DINO's": plain(usual, dino()), "0.2.0": plain(usual, image_by_image(DINO))}
    ratios = compared("2 + 8 crops", usual, ways | ours(photographs, DINO))
    ratios |= compared("2 crops of 224", usual, {"torchvision's": plain(usual, simclr())} | ours(photographs, SIMCLR))
    ways = {"0.2.0": plain(large, image_by_image(DINO))}
    ratios |= compared("12 megapixels, 2 + 8 crops", large, ways | ours(large_ones, DINO))
    centre = eval_loader(photographs, crop_size=224, batch_size=BATCH, num_workers=0)
    timm = create_transform(224, interpolation="bicubic")
    ratios |= compared("centre crop", usual, {"timm's": plain(usual, timm), "ours": centre})
    for name, images in (("500 x 375", photographs), ("12 megapixels", large_ones)):
        parts = {"whole, decoded": Decoded(images), "and cut": batches(images, DINO, colour=False)}
        compared(f"parts, {name}", images, parts | {"and colour": batches(images, DINO)})
    return ratios


def between_processes(paths: list[str]) -> dict[str, float]:
    """Bytes per image that a worker sends, and images per second of one worker and of two."""
    images = file_set(paths)
    views = next(iter(batches(images, DINO, colour=False)))[1]
    sent = sum(crop.nbytes for crop in views) / BATCH
    floats = sum(4 * crop.numel() for crop in views) / BATCH
    ratios = show("bytes an image between processes", f"{sent / 1e6:.2f} MB", sent / floats)
    one, two = (batches(images, DINO, workers=workers) for workers in (1, 2))
    spent = turn_by_turn({"one": timed(lambda: list(one)), "two": timed(lambda: list(two))}, rounds=3)
    for name, seconds in spent.items():
        print(f"{name + (' worker' if name == 'one' else ' workers'):46}{len(images) / seconds:10.0f} images/s")
    return ratios | show("two workers", "", spent["one"] / spent["two"])


def whole_runs(folder: Path, checkout: str, count: int) -> dict[str, float]:
    """Seconds of ``cplearn pretrain`` in the other checkout and in this one, with default settings otherwise."""
    ratios = {}
    for name, size in (("500 x 375", USUAL), ("12 megapixels", LARGE)):
        place = folder / name
        write_photographs(place / "images", count, size, distinct=12 if size == LARGE else None)
        OmegaConf.save(run_config(place), place / "run.yaml")
        there, here = (trained(root, place) for root in (checkout, str(Path(__file__).parents[1])))
        print(f"{f'{count} images of {name}':46}{there:14.0f} s there {here:8.0f} s here")
        ratios |= show(f"a run on {name}", "", here / there)
    return ratios


def run_config(place: Path) -> object:
    views = [OmegaConf.to_container(OmegaConf.structured(view)) for view in DINO]
    return OmegaConf.create(
        {
            "method": "dino",
            "backbone": {"name": "vit_tiny", "kwargs": {"patch_size": 32}},
            "momentum": {"base_tau": 0.99},
            "data": {"dataset": "custom", "train_path": str(place / "images"), "no_labels": True},
            "augmentations": views,
            "optimizer": {"batch_size": BATCH},
            "checkpoint": {"dir": str(place / "runs")},
            "auto_resume": {"enabled": False},
            "max_epochs": 1,
            "accelerator": "cpu",
        }
    )


def trained(checkout: str, place: Path) -> float:
    command = [sys.executable, f"{checkout}/main_pretrain.py", "--config-path", str(place), "--config-name", "run.yaml"]
    start = time.perf_counter()
    subprocess.run(command, env=os.environ | {"PYTHONPATH": checkout}, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def file_set(paths: list[str]) -> FileSet:
    config = DataConfig(dataset="custom", train_path=str(Path(paths[0]).parent), no_labels=True)
    return load_splits(config, seed=0).train


def ours(images: FileSet, views: list[Augmentation]) -> dict[str, Iterable]:
    return {
        f"colour {place}": batches(images, views, colour=place != "elsewhere") for place in ("in workers", "elsewhere")
    }


def batches(images: FileSet, views: list[Augmentation], *, colour: bool = True, workers: int = 0) -> Iterable:
    batch = min(BATCH, len(images))
    return train_loader(images, views, batch_size=batch, num_workers=workers, seed=0, colour=colour)


def plain(paths: list[str], transform: Views) -> Iterable:
    return DataLoader(Plain(paths, transform), min(BATCH, len(paths)))


class Plain(Dataset):
    """Image files with a transform, as users of torchvision write such a data set."""

    def __init__(self, paths: list[str], transform: Views) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> object:
        with Image.open(self.paths[i]) as image:
            return self.transform(image.convert("RGB"))


class Decoded:
    """Decodes images one after the other."""

    def __init__(self, images: FileSet) -> None:
        self.images = images

    def __iter__(self) -> Iterator[Image.Image]:
        return (decode(source).image for source in self.images.sources)


def compared(what: str, images: Sized, ways: Mapping[str, Iterable]) -> dict[str, float]:
    """Prints the milliseconds per image of a pass over each of ``ways``, and returns their ratios to the first."""
    spent = turn_by_turn({name: passed(way) for name, way in ways.items()})
    first, *others = spent
    show(f"{what}: {first}", f"{1e3 * spent[first] / len(images):.2f} ms")
    ratios = {}
    for name in others:
        ratios |= show(f"{what}: {name}", f"{1e3 * spent[name] / len(images):.2f} ms", spent[name] / spent[first])
    return ratios


def passed(batches: Iterable) -> Callable[[], float]:
    """A way for :func:`turn_by_turn`: seconds of processor time for a pass over ``batches``."""

    def way() -> float:
        start = time.process_time()
        for _ in batches:
            pass
        return time.process_time() - start

    return way


def show(what: str, value: str, ratio: float | None = None) -> dict[str, float]:
    """Prints a line of the table; returns its ratio by name."""
    print(f"{what:46}{value:>12}" + (f"{ratio:9.3f}x  {ASKED.get(what, '')}" if ratio else ""), flush=True)
    return {what: ratio} if ratio else {}


if __name__ == "__main__":
    main()
