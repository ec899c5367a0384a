"""Plain values to a dataclass that OmegaConf checks: errors name the full key."""

from __future__ import annotations

from dataclasses import is_dataclass
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from cplearn_solo.core.errors import InputError, reason_of, require, unknown

T = TypeVar("T")

_IN_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list: "a list",
    dict: "a mapping of keys to values",
    type(None): "null",
}


def read_schema(values: Any, schema: type[T], where: str = "") -> T:
    """An instance of the dataclass ``schema``.

    Raises ``InputError`` for unknown keys, missing ones and wrong types, at any depth; ``where`` names the source of
    the values.
    """
    place = f"{where}: " if where else ""
    _check(values, schema, "", place)
    try:
        filled: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), values))
        return filled
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "configuration"
        missing = isinstance(error, MissingMandatoryValue)
        raise InputError(f"{place}{key}{' is missing' if missing else f': {reason_of(error)}'}") from error


def text_keys(schema: type) -> set[str]:
    """The dotted keys of a dataclass, at any depth, whose values are text or lists of text."""
    return {key for key, kinds in leaf_keys(schema).items() if str in kinds}


def leaf_keys(schema: type, path: str = "") -> dict[str, list[Any]]:
    """The dotted keys of a dataclass that are no dataclasses, at any depth, with the types of values and of items; of
    a list of dataclasses those of the first."""
    found: dict[str, list[Any]] = {}
    for name, hint in get_type_hints(schema).items():
        outer = [kind for kind in _alternatives(hint) if get_origin(kind) is not dict]
        kinds = [inner for kind in outer for inner in (kind, *get_args(kind))]
        below = [kind for kind in kinds if isinstance(kind, type) and is_dataclass(kind)]
        for kind in below:
            found |= leaf_keys(kind, f"{path}{name}.0." if get_origin(outer[0]) is list else f"{path}{name}.")
        if not below:
            found[f"{path}{name}"] = kinds
    return found


def _check(values: Any, schema: Any, path: str, place: str) -> None:
    """Refuses keys that the dataclass ``schema`` does not have, and values of a wrong type."""
    require(isinstance(values, dict), f"{place}{path or 'configuration'}", values, _IN_WORDS[dict])
    hints = get_type_hints(schema)
    for key, value in values.items():
        full = f"{path}.{key}" if path else str(key)
        if key not in hints:
            deeper = () if path else leaf_keys(schema)
            raise unknown(f"{place}key of {path}" if path else f"{place}key", key, hints, deeper)
        kinds = _alternatives(hints[key])
        inner = next((t for kind in kinds for t in (kind, *get_args(kind)) if is_dataclass(t)), None)
        if value is None and type(None) in kinds:
            continue
        if inner is None:
            _check_leaf(_node(schema), key, value, f"{place}{full}", kinds)
        elif get_origin(kinds[0]) is list:
            require(isinstance(value, list), f"{place}{full}", value, _IN_WORDS[list])
            for i, item in enumerate(value):
                _check(item, inner, f"{full}[{i}]", place)
        elif get_origin(kinds[0]) is dict:
            require(isinstance(value, dict), f"{place}{full}", value, _IN_WORDS[dict])
            for name, item in value.items():
                _check(item, inner, f"{full}.{name}", place)
        else:
            _check(value, inner, full, place)


@cache
def _node(schema: type) -> DictConfig:
    """A node to test values on; cached, because making it takes longer than a hundred tests."""
    return OmegaConf.structured(schema)


def _check_leaf(node: DictConfig, key: str, value: Any, full: str, kinds: tuple[Any, ...]) -> None:
    """Refuses a value that OmegaConf does not accept or convert for ``key`` of the structured ``node``."""
    try:
        node[key] = value
    except OmegaConfBaseException as error:
        wanted = " or ".join(_in_words(kind) for kind in kinds)
        raise InputError(f"{full} = {value!r}: must be {wanted}") from error


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _in_words(kind: Any) -> str:
    """``List[int]`` as "a list, each a whole number"."""
    outer = _IN_WORDS.get(get_origin(kind) or kind, str(kind))
    items = get_args(kind)[-1:]
    return f"{outer}, each {_in_words(items[0])}" if items and items[0] in _IN_WORDS else outer
