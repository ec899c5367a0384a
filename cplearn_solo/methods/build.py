"""A method from its name and keywords."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cplearn_solo.methods.base import Method
from cplearn_solo.methods.catalog import check_method_kwargs
from cplearn_solo.methods.registry import METHODS


def build_method(name: str, features_dim: int, *, batch_size: int, method_kwargs: Mapping[str, Any]) -> Method:
    """The method registered as ``name``; ``InputError`` for an unknown name or keyword or a value of wrong type."""
    cls = METHODS[name]
    check_method_kwargs(name, method_kwargs)
    return cls(features_dim, batch_size=batch_size, **method_kwargs)
