"""Differences of rows to a row that the user names, or to the best baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cplearn_solo.tables.compare import FEWEST, Lead, best_row, lead
from cplearn_solo.tables.plan import Grid
from cplearn_solo.tables.schema import BASELINE, Metric
from cplearn_solo.tables.scores import Line, companions, ranked


@dataclass(frozen=True)
class Leads:
    """How far each row of a column, by its name, leads the row ``opponent`` in the score ``key``."""

    key: str
    opponent: str
    by_row: dict[str, Lead]


def find_leads(grid: Grid, metric: Metric, in_column: Sequence[Line]) -> list[Leads]:
    """Leads in a score and in those shown beside it that have a best value; none with too few seeds."""
    found = []
    for key, better in ranked(metric, companions(metric, in_column)).items():
        values = {line.row: line.by_seed(key) for line in in_column}
        names = grid.baselines if grid.request.against == BASELINE else [grid.request.against]
        able = {name: values[name] for name in names if len(values.get(name, ())) >= FEWEST}
        if able:
            opponent = best_row(able, lower=better == "lower")
            of_rows = {name: lead(scores, able[opponent]) for name, scores in values.items() if name != opponent}
            found.append(Leads(key, opponent, {name: one for name, one in of_rows.items() if one is not None}))
    return found
