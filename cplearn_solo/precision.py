"""The precision in which losses are computed."""

from __future__ import annotations

import torch
from torch import Tensor


def full_precision(x: Tensor) -> Tensor:
    """``x`` in float32, or as it is where it is float64: for what half precision would round away."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
