"""Checks of the metrics' input: each raises ``InputError`` naming bad input; those of data return a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from cplearn_solo.core.errors import InputError, require

INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32)


def as_tensor(name: str, values: Any) -> Tensor:
    """Numbers of any shape, without gradient; a tensor stays on its device."""
    if isinstance(values, Tensor):
        return values.detach()
    try:
        return torch.tensor(np.asarray(values))
    except (TypeError, ValueError):
        raise InputError(f"{name} = {type(values).__name__}: must be a tensor or an array of numbers") from None


def check_integers(name: str, values: Tensor) -> Tensor:
    """A tensor of integers, shape (n,), n >= 1, as int64."""
    require(values.ndim == 1 and len(values) > 0, f"{name}.shape", tuple(values.shape), "(n,) with n >= 1")
    require(values.dtype in INTEGERS, f"{name}.dtype", values.dtype, "a type of integers")
    return values.long()


def check_ids(name: str, values: Any, num_classes: int | None = None) -> Tensor:
    """Codes or labels as int64 (n,), n >= 1, from 0, and below ``num_classes`` when it is given."""
    ids = check_integers(name, as_tensor(name, values))
    low, high = (int(bound) for bound in ids.aminmax())
    require(low >= 0, name, low, "0 or more (-1 marks a row without a label: leave it out)")
    require(num_classes is None or high < num_classes, name, high, f"below num_classes = {num_classes}")
    return ids


def check_features(name: str, values: Any) -> Tensor:
    """Features as a tensor (n, d), n and d >= 1, all finite, in their own dtype."""
    features = as_tensor(name, values)
    shape = tuple(features.shape)
    require(len(shape) == 2 and features.numel() > 0, f"{name}.shape", shape, "(n, d) with n, d >= 1")
    check_finite(name, features)
    return features


def check_finite(name: str, values: Tensor) -> None:
    """Neither nan nor inf."""
    bad = values.detach()[~values.isfinite()]
    require(not len(bad), name, bad[0].item() if len(bad) else None, "finite")


def check_length(name: str, values: Tensor, length: int, of: str) -> None:
    """Exactly ``length`` rows; ``of`` names what each row stands for."""
    wanted = f"{(length, *values.shape[1:])}, one for each {of}"
    require(len(values) == length, f"{name}.shape", tuple(values.shape), wanted)


def check_split(
    train_x: Any, train_y: Any, test_x: Any, test_y: Any, num_classes: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A training and a test set: float32 features (n, d), the same d, and int64 labels (n,) below ``num_classes``."""
    check_count("num_classes", num_classes)
    train_x, test_x = check_features("train_x", train_x).float(), check_features("test_x", test_x).float()
    train_y, test_y = check_ids("train_y", train_y, num_classes), check_ids("test_y", test_y, num_classes)
    check_length("train_y", train_y, len(train_x), "row of train_x")
    check_length("test_y", test_y, len(test_x), "row of test_x")
    d = train_x.shape[1]
    require(test_x.shape[1] == d, "test_x.shape", tuple(test_x.shape), f"(n, {d}), with the dimension of train_x")
    return train_x, train_y, test_x, test_y


def check_count(name: str, value: object) -> None:
    """An integer of at least 1."""
    require(type(value) is int and value >= 1, name, value, "an integer from 1")


def check_number(name: str, value: object, *, zero: bool = False) -> None:
    """A finite number above 0, or at least 0 if ``zero``."""
    finite = type(value) in (int, float) and 0 <= value < float("inf")
    require(finite and (zero or value > 0), name, value, f"a finite number {'from' if zero else 'above'} 0")
