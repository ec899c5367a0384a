"""What to change in a configuration against a collapse, as methods say it of their own keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Keywords = Mapping[str, Any]  # the method_kwargs of a run, with the defaults of those that it does not say


class Remedy(NamedTuple):
    """``method_kwargs.key`` should have the ``value`` of the present keywords; ``None`` where it is not to blame.

    ``why`` says in words what the present value does.
    """

    key: str
    value: Callable[[Keywords], Any]
    why: str


Excuse = Callable[[Keywords], bool]


def never(given: Keywords) -> bool:
    """No excuse."""
    return False


def raise_to(least: float, key: str, why: str, *, unless: Excuse = never) -> Remedy:
    """Blames a number below ``least``."""

    def value(given: Keywords) -> float | None:
        return least if _number(given[key]) and given[key] < least and not unless(given) else None

    return Remedy(key, value, why)


def lower_to(most: float, key: str, why: str, *, unless: Excuse = never) -> Remedy:
    """Blames a number above ``most``."""

    def value(given: Keywords) -> float | None:
        return most if _number(given[key]) and given[key] > most and not unless(given) else None

    return Remedy(key, value, why)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
