"""Folders of image files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import torch

from cplearn_solo.core.errors import require
from cplearn_solo.data.decoding import is_image_name
from cplearn_solo.data.image_set import FileSet
from cplearn_solo.data.schema import DataConfig
from cplearn_solo.data.sources import DATASETS, existing_path


@DATASETS.register("imagenet100")
@DATASETS.register("imagenet")
@DATASETS.register("custom")
def folders(cfg: DataConfig, with_test: bool) -> tuple[FileSet, FileSet | None]:
    """One folder per class (the sorted names are the labels), or with ``no_labels`` any images below the folder."""
    root = existing_path(cfg.train_path, "data.train_path")
    if cfg.no_labels:
        files = list(_image_files(root))
        _require_images(files, root, "data.train_path")
        return FileSet(files, torch.full((len(files),), -1), 0), None
    classes = _class_names(root)
    require(len(classes) > 0, "data.train_path", str(root), "a folder of class folders, or set data.no_labels=true")
    train = _class_folders(root, classes, "data.train_path")
    if not with_test or cfg.val_path is None:
        return train, None
    test_root = existing_path(cfg.val_path, "data.val_path")
    for name in _class_names(test_root):
        wanted = f"a folder of the classes in data.train_path, and {name!r} is none of them"
        require(name in classes, "data.val_path", str(test_root), wanted)
    return train, _class_folders(test_root, classes, "data.val_path")


def _class_names(root: Path) -> tuple[str, ...]:
    return tuple(sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and entry.name[0] != "."))


def _class_folders(root: Path, classes: tuple[str, ...], key: str) -> FileSet:
    files, labels = [], []
    for label, name in enumerate(classes):
        found = list(_image_files(root / name))
        files += found
        labels += [label] * len(found)
    _require_images(files, root, key)
    return FileSet(files, torch.tensor(labels), len(classes), classes=classes)


def _image_files(folder: Path | str) -> Iterator[str]:
    """Paths of the images below ``folder``, sorted; nothing where there is no such folder."""
    if not os.path.isdir(folder):
        return
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _image_files(entry.path)
        elif is_image_name(entry.name):
            yield entry.path


def _require_images(files: list[str], root: Path, key: str) -> None:
    require(len(files) > 0, key, str(root), "a folder with images")
