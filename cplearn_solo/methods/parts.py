"""What a method's loss has to give, checked by every host: a mistake is told in a line that names the method."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cplearn_solo.core.errors import InputError


def checked_parts(method: str, parts: Any) -> dict[str, Tensor]:
    """``parts`` that ``loss`` of ``method`` gave; raises ``InputError`` unless they are named scalars with ``"loss"``,
    through which gradients flow, and optional ``"codes"`` ``(n,)``. Reads no number from the device."""
    if fault := _fault(parts):
        raise InputError(f"method {method!r}: {fault}")
    return parts


def _fault(parts: Any) -> str:
    if not isinstance(parts, dict):
        return f"loss() gives a {type(parts).__name__}: must be a dict"
    for name, value in parts.items():
        of = f"part {name!r} of the loss"
        if not isinstance(name, str):
            return f"{of}: must have text as its name"
        if not isinstance(value, Tensor):
            return f"{of} is a {type(value).__name__}: must be a tensor"
        if name == "codes":
            if value.ndim != 1 or value.dtype != torch.int64:
                has = f"shape {tuple(value.shape)} and {value.dtype}"
                return f"loss() gives codes of {has}: must be (n,) and torch.int64"
        elif value.ndim:
            return f"{of} has shape {tuple(value.shape)}: must be a scalar"
        elif value.is_complex():
            return f"{of} is complex: must be a real number"
    if "loss" not in parts:
        return f"loss() gives {sorted(parts)}: 'loss' is missing"
    if torch.is_grad_enabled() and not parts["loss"].requires_grad:
        return "the loss has no gradient: it must depend on weights, and not be detached"
    return ""
