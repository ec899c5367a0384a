"""The precision in which losses are computed."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """``x`` in float32, or unchanged if it is float64, for quantities that half precision would round away."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def matmul_precision() -> str:
    """``torch.get_float32_matmul_precision()``, which raises an error if a program has set the precision for GPUs
    only, by ``torch.backends.cuda.matmul.fp32_precision``; that one is then returned."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return "high" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "highest"


def without_autocast(x: Tensor) -> AbstractContextManager:
    """Context in which operations keep the precision of their inputs; mixed precision would run matrix products of
    float32 in half precision."""
    return torch.autocast(x.device.type, enabled=False)
