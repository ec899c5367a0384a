"""Whether a value fits a type annotation."""

from __future__ import annotations

import types
import typing
from typing import Any, Literal, Union

from cplearn_solo.core.errors import InputError, unknown


def check_type(key: str, value: Any, expected: Any) -> None:
    """Raises ``InputError`` unless ``value`` fits the annotation: plain types, lists, ``Literal`` and their unions."""
    origin = typing.get_origin(expected)
    if origin is Literal:
        if value not in typing.get_args(expected):
            raise unknown(key, value, map(str, typing.get_args(expected)))
    elif not _fits(value, expected):
        raise InputError(f"{key} = {value!r}: must be of type {_type_name(expected)}")


def _type_name(expected: Any) -> str:
    if typing.get_origin(expected) in (Union, types.UnionType):
        return " or ".join(_type_name(arg) for arg in typing.get_args(expected))
    if typing.get_origin(expected) is Literal:
        return " or ".join(map(repr, typing.get_args(expected)))
    return getattr(expected, "__name__", str(expected)) if typing.get_origin(expected) is None else str(expected)


def _fits(value: Any, expected: Any) -> bool:
    origin, args = typing.get_origin(expected), typing.get_args(expected)
    if expected is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_fits(value, arg) for arg in args)
    if origin is Literal:
        return value in args
    if origin is list:
        return isinstance(value, list) and all(_fits(item, arg) for item in value for arg in args)
    if expected is None or expected is type(None):
        return value is None
    if origin is not None:
        return isinstance(value, origin)
    if not isinstance(expected, type):  # an annotation that only type checkers understand
        return True
    if isinstance(value, bool):
        return expected is bool
    return isinstance(value, (int, float) if expected is float else expected)
