"""Training images and scored ones, with the same numbers for the same classes."""

from __future__ import annotations

from dataclasses import replace

import torch

from cplearn_solo.core.errors import require
from cplearn_solo.data.image_set import FileSet
from cplearn_solo.data.index import Index
from cplearn_solo.data.schema import DataConfig
from cplearn_solo.data.sources.labels import MOST_CLASSES, Labels, matched


def paired(
    train: tuple[Index, Labels], test: tuple[Index, Labels] | None, cfg: DataConfig
) -> tuple[FileSet, FileSet | None]:
    """The two sets; if ``no_labels`` is set, training images have the classes of the scored ones.

    Raises ``InputError`` for scored classes that training images do not have, for numbers too large for classes, and
    if only the scored images have labels although ``no_labels`` is not set.
    """
    index, labels = train
    _check(index, labels, "data.train_path", cfg.train_path)
    if test is None:
        return _file_set(index, labels), None
    scored, found = test
    _check(scored, found, "data.val_path", cfg.val_path)
    if cfg.no_labels:
        test_set = _file_set(scored, found)
        return replace(_file_set(index, labels), num_classes=found.num_classes, classes=found.names), test_set
    alone = not labels.num_classes and bool((found.values >= 0).any())
    require(not alone, "data.no_labels", False, "true, as no image in data.train_path has a label")
    found = matched(found, labels, "data.val_path", cfg.val_path)
    highest = int(found.values.max(initial=-1))
    wanted = f"images with labels from 0 to {labels.num_classes - 1}, as in training, and it holds {highest}"
    require(highest < labels.num_classes, "data.val_path", cfg.val_path, wanted)
    return _file_set(index, labels), replace(_file_set(scored, found), num_classes=labels.num_classes)


def _check(index: Index, labels: Labels, key: str, value: object) -> None:
    require(len(index) > 0, key, value, "a place with images")
    wanted = f"images with labels below {MOST_CLASSES}, and it holds {labels.num_classes - 1}: number classes from 0"
    require(labels.num_classes <= MOST_CLASSES, key, value, wanted)


def _file_set(index: Index, labels: Labels) -> FileSet:
    return FileSet(index, torch.from_numpy(labels.values), labels.num_classes, classes=labels.names)
