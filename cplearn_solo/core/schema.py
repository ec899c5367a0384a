"""Plain values to a dataclass that OmegaConf checks: unknown keys and wrong types are told by their full name."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import Any, TypeVar, get_origin, get_type_hints

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cplearn_solo.core.errors import InputError, unknown

T = TypeVar("T")


def read_schema(values: Any, schema: type[T], where: str = "") -> T:
    """An instance of the dataclass ``schema``.

    Raises ``InputError`` for unknown keys and wrong types, at any depth; ``where`` names the source of the values.
    """
    place = f"{where}: " if where else ""
    _check_keys(values, schema, "", place)
    try:
        filled: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), values))
        return filled
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "configuration"
        raise InputError(f"{place}{key} = {_lookup(values, key)!r}: {str(error).splitlines()[0]}") from error


def _check_keys(values: Any, schema: Any, path: str, place: str) -> None:
    """Refuses keys that the dataclass ``schema`` does not have, at any depth."""
    if not isinstance(values, dict):
        raise InputError(f"{place}{path or 'configuration'} = {values!r}: must be a mapping of keys to values")
    hints = get_type_hints(schema)
    for key, value in values.items():
        full = f"{path}.{key}" if path else str(key)
        if key not in hints:
            raise unknown(f"{place}key of {path}" if path else f"{place}key", key, hints)
        inner = [t for t in (hints[key], *getattr(hints[key], "__args__", ())) if is_dataclass(t)]
        if inner and get_origin(hints[key]) is list:
            if not isinstance(value, list):
                raise InputError(f"{place}{full} = {value!r}: must be a list")
            for i, item in enumerate(value):
                _check_keys(item, inner[0], f"{full}[{i}]", place)
        elif inner and get_origin(hints[key]) is dict and isinstance(value, dict):
            for name, item in value.items():
                _check_keys(item, inner[0], f"{full}.{name}", place)
        elif inner and value is not None:
            _check_keys(value, inner[0], full, place)


def _lookup(values: Any, path: str) -> Any:
    for part in path.replace("[", ".").replace("]", "").split("."):
        try:
            values = values[int(part) if isinstance(values, list) else part]
        except (KeyError, IndexError, ValueError, TypeError):
            return None
    return values
