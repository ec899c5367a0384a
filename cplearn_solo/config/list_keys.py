"""Keys that go through a list, as ``augmentations.0.crop_size``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import OmegaConf

from cplearn_solo.core.errors import InputError


def entries(values: Any) -> dict[str, Any]:
    """What a mapping or list has, by the parts of keys: those of a list are its indices."""
    if isinstance(values, list):
        return {str(i): value for i, value in enumerate(values)}
    return values if isinstance(values, dict) else {}


def value_at(values: Any, key: str) -> Any:
    """The value of a key, ``None`` if there is none."""
    for part in key.split("."):
        values = entries(values).get(part)
    return values


@contextmanager
def lists_told(keys: Iterable[str], config: Callable[[], Any]) -> Iterator[None]:
    """If this block fails because one of ``keys`` has no index, or a wrong one, where ``config()`` has a list, raises
    ``InputError`` with the keys that there are: Hydra and OmegaConf say neither which key it is nor what is wrong."""
    try:
        yield
    except Exception as error:
        if keys := list(keys):
            values = OmegaConf.to_container(config())
            for key in keys:
                _check(values, key, error)
        raise


def _check(values: Any, key: str, error: Exception) -> None:
    path, *rest = key.split(".")
    values = value_at(values, path)
    while rest:
        if isinstance(values, list) and not (rest[0].isdecimal() and int(rest[0]) < len(values)):
            inside = values and isinstance(values[0], (dict, list))
            after = rest[1:] if rest[0].lstrip("-").isdecimal() else rest
            keys = [".".join([path, str(i), *(after if inside else [])]) for i in range(len(values))]
            choices = " to ".join(dict.fromkeys((keys or ["none"])[i] for i in (0, -1)))
            wrong = f"{path} is a list of {len(values)}, choices are {choices}"
            raise InputError(f"unknown configuration key {key!r}: {wrong}") from error
        part, *rest = rest
        path, values = f"{path}.{part}", value_at(values, part)
