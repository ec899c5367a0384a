"""The values that a key may have in a search, mapped to places from 0 to 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

DIGITS = 3  # significant digits of drawn numbers, so that people can type them


def typed(value: float) -> float:
    """``value`` rounded to a few digits."""
    return float(f"{value:.{DIGITS}g}")


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    values: tuple[Any, ...]

    def at(self, place: float) -> Any:
        """The value at a place in [0, 1)."""
        return self.values[int(place * len(self.values))]

    def place(self, value: Any) -> float:
        """The place of a value; -1 if it is not among the choices."""
        return (self.values.index(value) + 0.5) / len(self.values) if value in self.values else -1.0

    def __contains__(self, value: Any) -> bool:
        return value in self.values

    def __str__(self) -> str:
        return ", ".join(map(str, self.values))


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def at(self, place: float) -> Any:
        """The number at a place in [0, 1), rounded to a few digits so that people can type it."""
        return self.tidy(self._from_scale(self._low + place * (self._high - self._low)))

    def tidy(self, value: float) -> Any:
        """``value`` rounded to a few digits, or to an integer if ``whole``, and clipped to the range."""
        near = round(value) if self.whole else typed(value)
        return min(max(near, self.low), self.high)

    def place(self, value: float) -> float:
        """The place of a number; outside of [0, 1] if the number is not in the range."""
        if not isinstance(value, (int, float)) or (self.log and value <= 0):
            return -1.0
        return (self._to_scale(value) - self._low) / (self._high - self._low)

    def __contains__(self, value: Any) -> bool:
        number = isinstance(value, (int, float)) and self.low <= value <= self.high
        return number and not (self.whole and value % 1)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{', log' if self.log else ''}"

    @property
    def _low(self) -> float:
        return self._to_scale(self.low)

    @property
    def _high(self) -> float:
        return self._to_scale(self.high)

    def _to_scale(self, value: float) -> float:
        return math.log(value) if self.log else value

    def _from_scale(self, value: float) -> float:
        return math.exp(value) if self.log else value


AnyDomain = Choice | Range
Space = dict[str, AnyDomain]  # by key
Keys = dict[str, Any]  # values of a trial, by key
