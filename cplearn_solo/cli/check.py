"""``cplearn check``: shows how a training would read images, before it starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cplearn_solo.config.schema import Config
from cplearn_solo.core.errors import require
from cplearn_solo.core.files import whole_file
from cplearn_solo.core.lines import on_a_line
from cplearn_solo.data import DATASETS, FileSet, eval_loader, train_loader
from cplearn_solo.data.decoding import Decoding, measured_range
from cplearn_solo.data.inspect import Findings, Look, contact_sheet, inspect
from cplearn_solo.data.notes import counted
from cplearn_solo.data.overlap import overlap
from cplearn_solo.data.schema import RGB

SHOWN = 32  # images of the contact sheet
NAMED = 3  # files in a line
CLASSES = 10  # in a line


def look(config: Config, *, everything: bool, sheet: Path) -> None:
    """Prints how a training with ``config`` would read its images, and writes a contact sheet to ``sheet``.

    ``everything``: reads all images, not a sample. Raises ``InputError`` for data sets in memory, such as digits.
    """
    cfg = config.data
    train, scored = DATASETS[cfg.dataset](cfg, True)
    require(isinstance(train, FileSet), "data.dataset", cfg.dataset, "one of images of your own, as custom")
    decoding = Decoding.of(cfg)
    if cfg.range == "auto":
        decoding = replace(decoding, limits=measured_range(train.sources, decoding, config.seed))
    found = inspect(replace(train, decoding=decoding), seed=config.seed, everything=everything)
    _print("training", found)
    if scored is not None:
        _print("validation", inspect(replace(scored, decoding=decoding), seed=config.seed, everything=everything))
        both = overlap(train.sources, scored.sources).tolist()
        print(f"validation images that are also training images: {_some(scored, both)}")
    if found.readable:
        with whole_file(sheet) as file:
            contact_sheet(_views(found, config)).save(file, "PNG")
        print(f"{sheet}: of {min(SHOWN, len(found.readable))} images, the centre that is scored and a view to train on")


def _print(title: str, found: Findings) -> None:
    images, readable = found.images, found.readable
    sample = f"; a sample of {len(found.looks)} was read, --all reads every image"
    print(f"{title}: {len(images)} images{sample if len(found.looks) < len(images) else ''}")
    print(f"  classes: {_classes(images)}")
    for what in ("format", "mode", "bits"):
        print(f"  {what}: {counted(found.counts(what))}")
    if readable:
        areas = sorted((look.header.size for look in readable), key=lambda size: size[0] * size[1])
        low, middle, high = (f"{w} x {h}" for w, h in (areas[0], areas[len(areas) // 2], areas[-1]))
        print(f"  size: {low} to {high}, median {middle}")
    print(f"  turned upright: {sum(look.header.turned for look in readable)}")
    print(f"  files with several images, of which the first is used: {sum(look.several for look in readable)}")
    refused = [look for look in found.looks if look.refused]
    print(f"  refused: {len(refused)}")
    for look in refused[:NAMED]:
        print(f"    {look.refused}")
    print(f"  of nearly one colour: {_some(images, [look.index for look in readable if look.empty])}")
    groups = [" = ".join(images.name(i) for i in group[:NAMED]) for group in found.copies[:NAMED]]
    print(f"  groups of copies: {len(found.copies)}{': ' if groups else ''}{', '.join(groups)}")


def _classes(images: FileSet) -> str:
    labels, counts = images.labels[images.labels >= 0].unique(return_counts=True)
    largest = counts.argsort(descending=True, stable=True).tolist()
    names = [on_a_line(images.classes[i]) if images.classes else str(i) for i in labels.tolist()]
    shown = ", ".join(f"{counts[i]} {names[i]}" for i in largest[:CLASSES])
    more = f", ..., {counts.min()} {names[largest[-1]]}" if len(names) > CLASSES else ""
    unlabelled = int((images.labels < 0).sum())
    return f"{len(names)}{': ' if names else ''}{shown}{more}" + (
        f"; {unlabelled} without a label" if unlabelled else ""
    )


def _some(images: FileSet, rows: list[int]) -> str:
    names = ", ".join(images.name(i) for i in rows[:NAMED])
    return f"{len(rows)}{': ' if rows else ''}{names}{', ...' if len(rows) > NAMED else ''}"


def _views(found: Findings, config: Config) -> list[list[np.ndarray]]:
    """For some readable images, the centre crop that is scored and a view of the first pipeline."""
    first, generator = config.augmentations[0], np.random.default_rng(config.seed)
    channels = config.data.channels
    unscaled = {"mean": (0.0,) * channels, "std": (1.0,) * channels}
    chosen: list[Look] = list(generator.permutation(np.array(found.readable, object))[:SHOWN])
    images = replace(found.images, **unscaled).subset(torch.tensor(sorted(look.index for look in chosen)))
    how = {"batch_size": len(images), "num_workers": 0}
    ((_, scored, _),) = eval_loader(images, crop_size=first.crop_size, **how)
    ((index, (views, *_), _),) = train_loader(images, [first], seed=config.seed, **how)
    return [[_levels(one / 255), _levels(view)] for one, view in zip(scored, views[index.argsort()])]


def _levels(view: Any) -> np.ndarray:
    """A view as uint8 ``(h, w, 3)``: its first three channels, or the first one in grey."""
    shown = view[:RGB] if len(view) >= RGB else view[:1].expand(RGB, -1, -1)
    return (shown.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
