"""Small tensors of fixed numbers, copied to a device once: a copy in each step would make a program wait for a GPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_CACHE: dict[Any, Tensor] = {}


def cached_tensor(values: tuple, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """``values``, numbers or tuples of them, as a tensor that must not be written to."""
    key = (values, dtype, device)
    if key in _CACHE:
        return _CACHE[key]
    with torch.inference_mode(False):  # else autograd could not use it later
        made = torch.tensor(values, dtype=dtype, device=device)
    if type(made) is Tensor:  # tensors of a FakeTensorMode are useless outside of it
        _CACHE[key] = made
    return made
