"""The one check that all losses of two views share."""

from __future__ import annotations

from torch import Tensor

from cplearn_solo.core.errors import require


def check_views(x1: Tensor, x2: Tensor, what: str, form: str) -> None:
    """Raises ``InputError`` unless both views are matrices of the same shape; the message uses ``what`` and ``form``,
    such as "(n, c)"."""
    shapes = tuple(x1.shape), tuple(x2.shape)
    require(x1.ndim == 2 and shapes[0] == shapes[1], f"shapes of {what}", shapes, f"the same {form}")
