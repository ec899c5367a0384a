"""Training images and scored ones, with the same numbers for the same classes."""

from __future__ import annotations

from dataclasses import replace

import torch

from cplearn_solo.core.errors import require
from cplearn_solo.data.image_set import FileSet
from cplearn_solo.data.index import Index
from cplearn_solo.data.schema import DataConfig
from cplearn_solo.data.sources.labels import Labels, matched


def paired(
    train: tuple[Index, Labels], test: tuple[Index, Labels] | None, cfg: DataConfig
) -> tuple[FileSet, FileSet | None]:
    """The two sets; where training images have no labels, the classes are those of the scored ones.

    Raises ``InputError`` for classes that no training image can have.
    """
    index, labels = train
    if test is None:
        return _file_set(index, labels), None
    scored, found = test
    if cfg.no_labels:
        test_set = _file_set(scored, found)
        return replace(_file_set(index, labels), num_classes=found.num_classes, classes=found.names), test_set
    found = matched(found, labels, "data.val_path", cfg.val_path)
    highest = int(found.values.max(initial=-1))
    wanted = f"images with labels from 0 to {labels.num_classes - 1}, as in training, and it holds {highest}"
    require(highest < labels.num_classes, "data.val_path", cfg.val_path, wanted)
    return _file_set(index, labels), replace(_file_set(scored, found), num_classes=labels.num_classes)


def _file_set(index: Index, labels: Labels) -> FileSet:
    require(len(index) > 0, "data.train_path", 0, "images")
    return FileSet(index, torch.from_numpy(labels.values), labels.num_classes, classes=labels.names)
