"""For a place or name that the user gives: which ``data.dataset`` reads it, and whether its images have labels."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, replace
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from cplearn_solo.core.errors import InputError
from cplearn_solo.data.decoding import is_image_name
from cplearn_solo.data.schema import KNOWN_IMAGES, MAY_LACK_LABELS, DataConfig
from cplearn_solo.data.sources import DATASETS
from cplearn_solo.data.sources.written import is_written

if TYPE_CHECKING:
    from cplearn_solo.data.image_set import ImageSet

ON_THE_HUB = re.compile(r"[\w.-]+/[\w.-]+")


def dataset_at(where: str) -> str:
    """The ``data.dataset`` that reads ``where``; a pattern of several files is judged by the first of them."""
    path = os.path.expanduser(where)
    if not os.path.exists(path):
        path = next(iter(sorted(glob(path, recursive=True))), path)
    if os.path.isdir(path):
        return "parquet" if holds_tables(path) else "custom"
    if path.lower().endswith(".parquet"):
        return "parquet"
    if os.path.exists(path) or not where:
        return "custom"
    if where in KNOWN_IMAGES:
        return where
    return "hub" if ON_THE_HUB.fullmatch(where) and not Path(where).parent.is_dir() else "custom"


@dataclass(frozen=True)
class Found:
    """Training images, whether they have no labels, and the reason for that decision in words."""

    images: ImageSet
    no_labels: bool
    why: str


def found_at(cfg: DataConfig) -> Found:
    """The training images, with labels if they have some, whatever ``cfg.no_labels`` says.

    A folder has labels if it directly contains two or more folders that together hold most of its images. Lists,
    archives, tables and several places have labels if they can be read as labelled. Raises ``InputError`` if there are
    no images.
    """
    if cfg.dataset not in MAY_LACK_LABELS:
        return Found(_read(cfg, no_labels=False), False, f"{cfg.dataset} has labels")
    path = cfg.train_path
    if cfg.dataset == "custom" and isinstance(path, str) and os.path.isdir(os.path.expanduser(path)):
        images = _read(cfg, no_labels=True)
        without, why = _classes_among([images.sources.file(i) for i in range(len(images))])
        return Found(images if without else _read(cfg, no_labels=False), without, why)
    try:
        images = _read(cfg, no_labels=False)
    except InputError:
        if cfg.label_column != DataConfig.label_column:  # the user named a column of labels
            raise
        return Found(_read(cfg, no_labels=True), True, "no labels among them")
    classes = int(images.labels[images.labels >= 0].unique().numel())
    if not classes:
        return Found(_read(cfg, no_labels=True), True, "no labels among them")
    return Found(images, False, f"labels of {classes} classes")


def _read(cfg: DataConfig, *, no_labels: bool) -> ImageSet:
    return DATASETS[cfg.dataset](replace(cfg, no_labels=no_labels), False)[0]


def _classes_among(names: list[str]) -> tuple[bool, str]:
    """Whether a folder of files with these paths has no classes, and the reason in words."""
    folders = Counter(name.partition("/")[0] for name in names if "/" in name)
    within = sum(folders.values())
    if len(folders) > 1 and 2 * within > len(names):
        return False, f"{len(folders)} class folders"
    if not folders:
        return True, "no class folders"
    return True, f"{within} of {len(names)} images in {len(folders)} folder(s): no class folders"


def holds_tables(folder: str) -> bool:
    """Whether the topmost folder that has images or parquet files has no images."""
    for place, folders, files in os.walk(folder):
        folders.sort()
        if any(map(is_image_name, files)):
            return False
        tables = (Path(place, name) for name in files if name.lower().endswith(".parquet"))
        if not all(map(is_written, tables)):
            return True
    return False
