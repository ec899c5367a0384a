"""For a place or name that the user gives: which ``data.dataset`` reads it, and whether its images have labels."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from cplearn_solo.core.errors import InputError
from cplearn_solo.core.files import folders_below
from cplearn_solo.data.decoding import is_image_name
from cplearn_solo.data.schema import KNOWN_IMAGES, MAY_LACK_LABELS, DataConfig
from cplearn_solo.data.sources import DATASETS
from cplearn_solo.data.sources.class_folders import classes_among
from cplearn_solo.data.sources.no_labels import NoLabels
from cplearn_solo.data.sources.places import places
from cplearn_solo.data.sources.written import is_written

if TYPE_CHECKING:
    from cplearn_solo.data.image_set import ImageSet

ON_THE_HUB = re.compile(r"[\w.-]+/[\w.-]+")
NONE = "no labels among them"


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

    A folder, and an archive without labels beside its images, have labels if two or more folders directly in it
    together hold most of its images. Lists, shards, tables and several places have labels if something says so.
    Raises ``InputError`` if there are no images, or labels that cannot be read.
    """
    if cfg.dataset not in MAY_LACK_LABELS:
        return Found(_read(cfg, no_labels=False), False, f"{cfg.dataset} has labels")
    alone = places(cfg.train_path, "data.train_path") if cfg.dataset == "custom" else []
    if len(alone) == 1 and alone[0].is_dir():
        images = _read(cfg, no_labels=True)
        without, why = classes_among([images.sources.file(i) for i in range(len(images))])
        return Found(images if without else _read(cfg, no_labels=False), without, why)
    if len(alone) == 1 and (names := _in_archive(alone[0])):
        without, why = classes_among(names)
        return Found(_read(cfg, no_labels=without), without, why)
    try:
        images = _read(cfg, no_labels=False)
    except InputError as error:
        return _without(cfg, error)
    classes = int(images.labels[images.labels >= 0].unique().numel())
    if not classes:
        return Found(_read(cfg, no_labels=True), True, NONE)
    return Found(images, False, f"labels of {classes} classes")


def _without(cfg: DataConfig, error: InputError) -> Found:
    """The images without the labels that could not be read, by ``error``, unless the user needs to know first."""
    images = _read(cfg, no_labels=True)  # raises what has nothing to do with labels
    if not isinstance(error, NoLabels):
        raise InputError(f"{error}; data.no_labels=true leaves labels out") from error
    if cfg.label_column != DataConfig.label_column:  # the user named a column of labels
        raise error
    return Found(images, True, f"labels are not read: {error}" if error.likely else NONE)


def _in_archive(place: Path) -> list[str] | None:
    """The paths of images in an archive whose folders may be classes."""
    from cplearn_solo.data.sources.archives import is_archive, without_outer_folder

    return without_outer_folder(place, "data.train_path") if is_archive(place) else None


def _read(cfg: DataConfig, *, no_labels: bool) -> ImageSet:
    return DATASETS[cfg.dataset](replace(cfg, no_labels=no_labels), False)[0]


def holds_tables(folder: str) -> bool:
    """Whether the topmost folder that has images or parquet files has no images."""
    for place, files in folders_below(Path(folder)):
        if any(map(is_image_name, files)):
            return False
        tables = (place / name for name in files if name.lower().endswith(".parquet"))
        if not all(map(is_written, tables)):
            return True
    return False
