"""Images that come as arrays: scikit-learn's digits and torchvision's downloads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torchvision
from sklearn.datasets import load_digits

from cplearn_solo.core.errors import InputError, reason_of
from cplearn_solo.data.image_set import MemorySet
from cplearn_solo.data.schema import DataConfig
from cplearn_solo.data.selection import stratified
from cplearn_solo.data.sources import DATASETS

if TYPE_CHECKING:
    from cplearn_solo.data.sources import Source


@DATASETS.register("digits")
def digits(cfg: DataConfig, with_test: bool) -> tuple[MemorySet, MemorySet]:
    """scikit-learn's 1797 digits of 8x8 pixels; a fifth of each class are test images, the same for every seed."""
    data = load_digits()
    images = torch.from_numpy(data.images * (255 / 16)).round().to(torch.uint8)[:, None].repeat(1, 3, 1, 1)
    whole = MemorySet(images, torch.from_numpy(data.target).long(), 10, classes=tuple("0123456789"))
    test, train = stratified(whole.labels, 0.2, seed=0)
    return whole.subset(train), whole.subset(test)


def _torchvision(name: str, num_classes: int, train: dict[str, Any], test: dict[str, Any]) -> Source:
    """The source of torchvision's class of that name, whose two parts take these keyword arguments."""

    def load(cfg: DataConfig, with_test: bool) -> tuple[MemorySet, MemorySet | None]:
        root = cfg.train_path or "./datasets"
        # solo-learn's configs leave other data sets' folders in val_path; only an existing one can be meant.
        test_root = cfg.val_path if cfg.val_path and Path(cfg.val_path).is_dir() else root
        training = _part(name, num_classes, root, train)
        return training, _part(name, num_classes, test_root, test) if with_test else None

    return load


def _part(name: str, num_classes: int, root: str, arguments: dict[str, Any]) -> MemorySet:
    try:
        raw = getattr(torchvision.datasets, name)(root, download=True, **arguments)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{name} could not be read or downloaded ({reason_of(error)}): "
            f"put its files in {root} (data.train_path), or set data.dataset=digits"
        ) from error
    images = torch.from_numpy(np.asarray(raw.data))
    if images.shape[-1] == 3:  # CIFAR has channels last
        images = images.permute(0, 3, 1, 2).contiguous()
    labels = torch.as_tensor(np.asarray(raw.targets if hasattr(raw, "targets") else raw.labels)).long()
    return MemorySet(images, labels, num_classes, classes=tuple(getattr(raw, "classes", ())))


DATASETS.register("cifar10")(_torchvision("CIFAR10", 10, {"train": True}, {"train": False}))
DATASETS.register("cifar100")(_torchvision("CIFAR100", 100, {"train": True}, {"train": False}))
DATASETS.register("svhn")(_torchvision("SVHN", 10, {"split": "train"}, {"split": "test"}))
DATASETS.register("stl10")(_torchvision("STL10", 10, {"split": "train+unlabeled"}, {"split": "test"}))
