"""Images at a place that the user gives, read as a run reads its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from cplearn_solo.core.errors import InputError, require
from cplearn_solo.core.files import DRIVE_LOST
from cplearn_solo.core.schema import read_schema
from cplearn_solo.data import DATASETS, KNOWN_IMAGES, DataConfig, FileSet, ImageSet, check_data
from cplearn_solo.data.decoding import Bands, Decoded, Decoding, Shrink, measured_range
from cplearn_solo.data.decoding.image import COLOURS
from cplearn_solo.data.image_set import in_channels
from cplearn_solo.data.index import Files, Names
from cplearn_solo.data.notes import say_once
from cplearn_solo.data.schema import MAY_LACK_LABELS
from cplearn_solo.data.sources import images_in_order
from cplearn_solo.data.sources.archives import is_archive, without_outer_folder
from cplearn_solo.data.sources.class_folders import outer_folder
from cplearn_solo.data.sources.kinds import dataset_at, holds_tables
from cplearn_solo.data.sources.labels import from_names
from cplearn_solo.data.sources.no_labels import NoLabels
from cplearn_solo.data.sources.places import absolute
from cplearn_solo.engine.networks import check_scored_size
from cplearn_solo.inference.pretrained import Pretrained, transform_of

LOOKED_AT = 100  # images, of which one has to be readable
# keys that choose images
OF_TRAINING = ("fraction", "imbalance", "val_split", "val_path", "max_train_images", "max_val_images")
UNUSED = {  # keys that have no effect here, and why
    **dict.fromkeys(("train_path", *OF_TRAINING), "IMAGES are all read"),
    "num_workers": "--num-workers says it",
    "max_unreadable": "any number of IMAGES may be unreadable",
    "allow_overlap": "IMAGES are not scored",
}


@dataclass(frozen=True)
class SkippingSet(FileSet):
    """Files of which any number may be unreadable: these are black in a batch, and noted as unreadable.

    Raises ``InputError`` if their drive is lost, which says nothing about the files.
    """

    def instead(self, i: int, shrink: Shrink | None, error: InputError) -> Decoded:
        if getattr(error.__cause__, "errno", None) in DRIVE_LOST:
            raise error
        mode = COLOURS.get(self.decoding.channels)
        picture = Image.new(mode, (1, 1)) if mode else Bands(np.zeros((1, 1, self.decoding.channels), np.uint8))
        return Decoded(picture, one_of_several=False, size=picture.size)


def images_at(
    model: Pretrained, where: str, overrides: Mapping[str, Any] | None = None, *, in_order: bool = False
) -> ImageSet:
    """All images at ``where``, in the order of their source; those of files are a :class:`SkippingSet`.

    ``where`` is a folder, list, archive or parquet file, several of them as ``data.train_path`` takes them, or the name
    of a data set, on the hub or known by name, whose training images are read. Only those known by name have labels,
    unless ``overrides``, keys of ``data`` with other values, say otherwise. Channels, range, background and
    normalisation are those of the run. With ``in_order`` images of parquet files are not held in memory, but should be
    read in order. Raises ``InputError`` for other channels, and if no image can be read.
    """
    trained, given = model.config.data, overrides or {}
    for key, why in UNUSED.items():
        require(key not in given, f"data.{key}", given.get(key), f"left out: {why}")
    cfg = read_schema({**asdict(trained), **_source(where, trained), **given}, DataConfig)
    wanted = f"{trained.channels}, which the model was trained on"
    require(cfg.channels == trained.channels, "data.channels", cfg.channels, wanted)
    try:
        images = _read(cfg, model, seed=model.config.seed, in_order=in_order)
    except InputError as error:
        error.args = (str(error).replace("data.train_path", "IMAGES"),)
        raise
    check_scored_size(model.backbone, model.config, images)
    return replace(images, mean=tuple(model.mean), std=tuple(model.std))


def labelled_images_at(model: Pretrained, where: str, overrides: Mapping[str, Any] | None = None) -> ImageSet:
    """:func:`images_at` in order, with labels if there are any; in a folder of images, or an archive of them alone, its
    subfolders are the classes. A line says so where there may be labels that cannot be read."""
    place = Path(os.path.expanduser(where))
    packed = is_archive(place) and without_outer_folder(place, "IMAGES") is not None
    of_files = packed or (place.is_dir() and not holds_tables(str(place)))
    told = ""
    if not of_files:
        try:
            return images_at(model, where, {"no_labels": False, **(overrides or {})}, in_order=True)
        except InputError as error:
            if "label_column" in (overrides or {}):  # the user named a column of labels
                raise
            told = "" if isinstance(error, NoLabels) and not error.likely else f"labels are not read: {error}"
    images = images_at(model, where, overrides, in_order=True)
    if told:
        say_once(told)
    if not of_files or (images.labels >= 0).any():
        return images
    names = file_names(images, range(len(images)))
    outer = outer_folder(names) if packed else ""
    folders = [name.removeprefix(outer).rpartition("/")[0].partition("/")[0] for name in names]
    labels = from_names(folders)
    return replace(images, labels=torch.from_numpy(labels.values), num_classes=labels.num_classes, classes=labels.names)


def image_files(model: Pretrained, paths: Sequence[str], decoding: Decoding | None = None) -> FileSet:
    """The image files at ``paths``, which must exist, read with ``decoding``, or as the run reads its own."""
    names = Names.of(os.fsencode(os.path.abspath(path)) for path in paths)
    sizes = np.array([os.path.getsize(path) for path in paths])
    labels = torch.full((len(paths),), -1)
    statistics = {"mean": tuple(model.mean), "std": tuple(model.std)}
    return FileSet(Files("", names, sizes), labels, 0, **statistics, decoding=decoding or transform_of(model).decoding)


def file_names(images: ImageSet, rows: Iterable[int]) -> list[str]:
    """Where the images in ``rows`` are in their source: paths, or numbers where they have no names."""
    return [images.sources.file(i) if isinstance(images, FileSet) else str(i) for i in rows]


def _read(cfg: DataConfig, model: Pretrained, *, seed: int, in_order: bool) -> ImageSet:
    check_data(cfg)
    if cfg.dataset != "hub":
        cfg = replace(cfg, train_path=absolute(cfg.train_path))
    images = images_in_order(cfg) if in_order else DATASETS[cfg.dataset](cfg, False)[0]
    if not isinstance(images, FileSet):
        return in_channels(images, cfg)
    decoding = Decoding.of(cfg)
    if cfg.range == "auto":
        decoding = replace(decoding, limits=model.limits or measured_range(images.sources, decoding, seed))
    labels = {"labels": images.labels, "num_classes": images.num_classes, "classes": images.classes}
    found = SkippingSet(images.sources, **labels, decoding=decoding, max_unreadable=1.0)
    _require_one(found)
    return found


def _source(where: str, trained: DataConfig) -> dict[str, Any]:
    """The keys of ``data`` that mean all images at ``where``."""
    every = {key: getattr(DataConfig, key) for key in OF_TRAINING}
    dataset = dataset_at(where)
    if dataset in KNOWN_IMAGES:
        known = trained.train_path if trained.dataset == dataset else DataConfig.train_path
        return {**every, "dataset": dataset, "train_path": known, "no_labels": False}
    return {**every, "dataset": dataset, "train_path": where, "no_labels": dataset in MAY_LACK_LABELS}


def _require_one(images: FileSet) -> None:
    """Raises the first image's ``InputError`` if no image of a sample from all of the set can be read."""
    reasons = []
    for i in np.unique(np.linspace(0, len(images) - 1, LOOKED_AT, dtype=np.int64)).tolist():
        try:
            images.load(i)
            return
        except InputError as error:
            reasons.append(error)
    raise reasons[0]
