"""What the metrics accept: each check returns its input as a tensor, or raises ``InputError`` naming it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from cplearn_solo.core.errors import InputError

INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32)


def as_tensor(name: str, values: Any) -> Tensor:
    """Numbers of any shape, without gradient; a tensor stays on its device."""
    if isinstance(values, Tensor):
        return values.detach()
    try:
        return torch.tensor(np.asarray(values))
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a tensor or an array of numbers, got {type(values).__name__}") from None


def check_ids(name: str, values: Any, num_classes: int | None = None) -> Tensor:
    """Codes or labels as int64 (n,), n >= 1, from 0, and below ``num_classes`` when it is given."""
    ids = as_tensor(name, values)
    if ids.ndim != 1 or ids.dtype not in INTEGERS or not len(ids):
        raise InputError(f"{name} must be one or more integers, shape (n,), got {ids.dtype} {tuple(ids.shape)}")
    ids = ids.long()
    low, high = (int(bound) for bound in ids.aminmax())
    if low < 0:
        raise InputError(f"{name} must be 0 or more, got {low} (-1 marks a row without a label: leave it out)")
    if num_classes is not None and high >= num_classes:
        raise InputError(f"{name} must be below num_classes={num_classes}, got {high}")
    return ids


def check_features(name: str, values: Any) -> Tensor:
    """Features as a tensor (n, d), n and d >= 1, all finite, in their own dtype."""
    features = as_tensor(name, values)
    if features.ndim != 2 or not features.numel():
        raise InputError(f"{name} must have shape (n, d) with n, d >= 1, got {tuple(features.shape)}")
    if not features.isfinite().all():
        raise InputError(f"{name} must be finite, got nan or inf")
    return features


def check_split(
    train_x: Any, train_y: Any, test_x: Any, test_y: Any, num_classes: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A training and a test set: float32 features (n, d) of one d, and int64 labels (n,) below ``num_classes``."""
    check_count("num_classes", num_classes)
    train_x, test_x = check_features("train_x", train_x).float(), check_features("test_x", test_x).float()
    train_y, test_y = check_ids("train_y", train_y, num_classes), check_ids("test_y", test_y, num_classes)
    for name, x, y in (("train_y", train_x, train_y), ("test_y", test_x, test_y)):
        if len(x) != len(y):
            raise InputError(f"{name} must have one label for each of {len(x)} rows, got {len(y)}")
    if train_x.shape[1] != test_x.shape[1]:
        raise InputError(f"test_x must have the dimension of train_x, {train_x.shape[1]}, got {test_x.shape[1]}")
    return train_x, train_y, test_x, test_y


def check_count(name: str, value: object) -> None:
    """An integer from 1."""
    if type(value) is not int or value < 1:
        raise InputError(f"{name} must be an integer from 1, got {value!r}")


def check_number(name: str, value: object, *, zero: bool = False) -> None:
    """A finite number above 0, or from 0 where ``zero`` is allowed."""
    if type(value) not in (int, float) or not 0 <= value < float("inf") or (value == 0 and not zero):
        raise InputError(f"{name} must be a finite number {'from' if zero else 'above'} 0, got {value!r}")
