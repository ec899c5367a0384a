"""Differences between rows, paired over seeds, and the rows that do not differ significantly from the best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import mean, stdev

LEVEL = 0.95  # of the intervals
FEWEST = 3  # least number of seeds that two rows must share

Scores = Mapping[int, float]  # of a row, by seed


@dataclass(frozen=True)
class Lead:
    """A mean difference and the two ends of its interval, in the unit of the scores."""

    mean: float
    low: float
    high: float


def lead(ours: Scores, theirs: Scores, *, level: float = LEVEL) -> Lead | None:
    """Mean of ours - theirs over the seeds that both have, with the interval of a paired t-test at ``level``.

    The same seed means the same held-out images, weights and order, as far as two methods share them. The interval
    assumes that the differences are independent draws from a normal distribution. ``None`` with fewer than three seeds.
    """
    shared = ours.keys() & theirs.keys()
    if len(shared) < FEWEST:
        return None
    differences = [_difference(ours[seed], theirs[seed]) for seed in sorted(shared)]
    from scipy.special import stdtrit  # takes a tenth of a second

    quantile = float(stdtrit(len(differences) - 1, (1 + level) / 2))
    half = quantile * stdev(differences) / math.sqrt(len(differences))
    return Lead(mean(differences), mean(differences) - half, mean(differences) + half)


def best_rows(rows: Mapping[str, Scores], *, lower: bool = False) -> set[str]:
    """The row with the highest mean (or lowest), and all rows that are not significantly worse: the interval of their
    difference to it contains 0 or lies on the better side, which can happen as only shared seeds are compared.

    Rows with fewer than three seeds are left out; if fewer than two rows are left, the result is empty.
    """
    able = {name: scores for name, scores in rows.items() if len(scores) >= FEWEST}
    if len(able) < 2:
        return set()
    best = best_row(able, lower=lower)
    leads = {name: lead(scores, able[best]) for name, scores in able.items()}
    return {best, *(name for name, one in leads.items() if one and (one.low <= 0 if lower else one.high >= 0))}


def best_row(rows: Mapping[str, Scores], *, lower: bool = False) -> str:
    """The row with the highest mean over its seeds (or lowest); the first of several equal ones."""
    return (min if lower else max)(rows, key=lambda name: mean(rows[name].values()))


def _difference(a: float, b: float) -> float:
    """a - b, but 0 if they differ by rounding only: otherwise such a tiny difference would always be significant."""
    return 0.0 if math.isclose(a, b, rel_tol=1e-12) else a - b
