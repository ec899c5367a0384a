"""Advice of methods against a collapse: which of their keys to change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Keywords = Mapping[str, Any]  # the method_kwargs of a run, with defaults for absent ones


class Remedy(NamedTuple):
    """Change ``method_kwargs.key``: ``value`` computes its new value from the present keywords, ``None`` for no change.

    ``why`` says what the present value does.
    """

    key: str
    value: Callable[[Keywords], Any]
    why: str


Excuse = Callable[[Keywords], bool]


def never(given: Keywords) -> bool:
    """No excuse."""
    return False


def raise_to(least: float, key: str, why: str, *, unless: Excuse = never) -> Remedy:
    """Advises ``least`` for a number below it, except if ``unless`` holds."""

    def value(given: Keywords) -> float | None:
        return least if _number(given[key]) and given[key] < least and not unless(given) else None

    return Remedy(key, value, why)


def lower_to(most: float, key: str, why: str, *, unless: Excuse = never) -> Remedy:
    """Advises ``most`` for a number above it, except if ``unless`` holds."""

    def value(given: Keywords) -> float | None:
        return most if _number(given[key]) and given[key] > most and not unless(given) else None

    return Remedy(key, value, why)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
