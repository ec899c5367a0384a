"""The measures of a verdict beside their limits, in plain words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cplearn_solo.core.numbers import digits
from cplearn_solo.metrics.verdict import Criterion, Verdict

BELOW, ABOVE = 1, 2  # powers of ten below and above the limit in a bar


@dataclass(frozen=True)
class Bar:
    """A measure as a bar. ``percent``: the filled part of the width, on a logarithmic scale with all limits at the same
    place. ``value`` is ``None`` if it was not measured."""

    title: str
    measure: str
    value: float | None
    limit: float
    percent: float

    @property
    def text(self) -> str:
        """The value and the limit as text."""
        return "not measured" if self.value is None else f"{digits(self.value, 3)}, limit {self.limit}"

    @property
    def collapsed(self) -> bool:
        """Whether it is below its limit."""
        return self.value is not None and self.value < self.limit


LIMIT = 100 * BELOW / (BELOW + ABOVE)  # percent of the width


def bars(verdict: Verdict) -> list[Bar]:
    """A bar for each criterion that applies, in the order in which the criteria are checked."""
    return [_bar(criterion, verdict.measures.get(criterion.measure)) for criterion in verdict.criteria]


def _bar(criterion: Criterion, value: float | None) -> Bar:
    percent = 0.0
    if value is not None:
        powers = math.log10(max(value / criterion.limit, 10**-BELOW))
        percent = min(max(100 * (powers + BELOW) / (BELOW + ABOVE), 1), 100)  # 1 is visible
    return Bar(criterion.meaning.capitalize(), criterion.measure, value, criterion.limit, percent)
