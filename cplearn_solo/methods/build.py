"""Builds a method from its name and its keywords."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cplearn_solo.core.errors import InputError, keys_named, reason_of, require
from cplearn_solo.methods.base import Method
from cplearn_solo.methods.catalog import check_method_kwargs, method_facts
from cplearn_solo.methods.registry import METHODS


def build_method(name: str, features_dim: int, *, batch_size: int, method_kwargs: Mapping[str, Any]) -> Method:
    """The method registered as ``name``; ``InputError`` for an unknown name or keyword or a value it cannot take."""
    cls = METHODS[name]
    lacks = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
    if lacks:
        raise InputError(f"method {name!r}: {cls.__name__} does not define {lacks}")
    check_method_kwargs(name, method_kwargs)
    with method_keys_named(name):
        for key, value in method_kwargs.items():
            size = key.endswith("_dim") or key == "num_prototypes"
            require(not size or not isinstance(value, (int, float)) or value >= 1, key, value, "at least 1")
        try:
            return cls(features_dim, batch_size=batch_size, **method_kwargs)
        except (RuntimeError, MemoryError, ArithmeticError) as error:  # how PyTorch refuses sizes
            reason = reason_of(error)
            given = ", ".join(f"method_kwargs.{key} = {value!r}" for key, value in method_kwargs.items())
            raise InputError(f"{given or 'method'}: method {name!r} cannot be made: {reason}") from error


@contextmanager
def method_keys_named(name: str) -> Iterator[None]:
    """In this block, errors name the arguments of a method by their configuration keys."""
    keys = {key: f"method_kwargs.{key}" for key in method_facts(name).arguments}
    with keys_named({**keys, "batch_size": "optimizer.batch_size"}):
        yield
