"""Every number of a grid as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import Any

from cplearn_solo.tables.compare import best_rows
from cplearn_solo.tables.leads import find_leads
from cplearn_solo.tables.paper import published
from cplearn_solo.tables.plan import Grid
from cplearn_solo.tables.results import Found
from cplearn_solo.tables.scores import Line, companions, lines, paper_column, ranked

HEADER = ["column", "row", "score", "unit", "ours", "spread", "seeds", "best", "paper", "paper_spread", "difference"]
AGAINST = ["against", "lead", "lead_low", "lead_high"]  # if the user asks for differences


def numbers(grid: Grid, found: Found) -> str:
    """One score a line: the paper's scores in its own unit, with failures, then all other numbers of a run.

    ``best``: "yes" for the best row of a score and all rows that do not differ significantly, as marked in tables.
    """
    text = io.StringIO()
    header = [*HEADER, *(AGAINST if grid.request.against else ()), "failed"]
    writer = csv.DictWriter(text, header, lineterminator="\n")
    writer.writeheader()
    for column, in_column in lines(grid, found).items():
        compared = _compared(grid, in_column)
        for line in in_column:
            for key, values in (*_paper_scores(grid, line), *_other_scores(grid, line)):
                values |= compared.get((key, line.row), {}) | {"column": column, "row": line.row}
                writer.writerow({name: f"{v:.6g}" if isinstance(v, float) else v for name, v in values.items()})
    return text.getvalue()


def _compared(grid: Grid, in_column: Sequence[Line]) -> dict[tuple[str, str], dict[str, Any]]:
    """By key and row: whether the row is among the best, and its lead in the unit of that line."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    scales = {metric.key: metric.scale for metric in grid.metrics.values()}
    for metric in grid.metrics.values():
        for key, better in ranked(metric, companions(metric, in_column)).items():
            values = {line.row: line.by_seed(key) for line in in_column}
            for row in best_rows(values, lower=better == "lower"):
                found.setdefault((key, row), {})["best"] = "yes"
        for leads in find_leads(grid, metric, in_column) if grid.request.against else ():
            for row, lead in leads.by_row.items():
                scaled = (number * scales.get(leads.key, 1) for number in astuple(lead))
                found.setdefault((leads.key, row), {}).update(zip(AGAINST, (leads.opponent, *scaled)))
    return found


def _paper_scores(grid: Grid, line: Line) -> Iterator[tuple[str, dict[str, Any]]]:
    rows = {row.name: row for row in grid.table.rows}
    same = paper_column(grid, line.column)[2]
    failed = "; ".join(f"seed {record['seed']}: {record['failed']}" for record in line.failed)
    for name, metric in grid.metrics.items():
        values = {"score": metric.label, "unit": metric.unit, **_ours(line, metric.key, metric.scale), "failed": failed}
        printed = published(grid.table, rows[line.row], line.column, name) if same and line.row in rows else None
        if printed:
            values |= dict(zip(("paper", "paper_spread"), printed))
            values |= {"difference": values["ours"] - printed[0]} if "ours" in values else {}
        yield metric.key or "", values


def _other_scores(grid: Grid, line: Line) -> Iterator[tuple[str, dict[str, Any]]]:
    own = {"seed", *(metric.key for metric in grid.metrics.values())}
    summaries = [record["summary"] for record in line.records if "summary" in record]
    keys = {key: None for s in summaries for key, value in s.items() if isinstance(value, (int, float))}
    for key in keys:
        if key not in own:
            yield key, {"score": key, **_ours(line, key, 1)}


def _ours(line: Line, key: str | None, scale: float) -> dict[str, Any]:
    score = line.score(key)
    if score is None:
        return {"seeds": 0}
    spread = {} if score.spread is None else {"spread": score.spread * scale}
    return {"ours": score.mean * scale, "seeds": score.count, **spread}
