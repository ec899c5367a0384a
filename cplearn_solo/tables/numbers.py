"""Every number of a grid as CSV."""

from __future__ import annotations

import csv
import io

from cplearn_solo.tables.paper import published
from cplearn_solo.tables.plan import Grid
from cplearn_solo.tables.results import Found
from cplearn_solo.tables.scores import Line, Score, lines, paper_column

HEADER = ["column", "row", "score", "unit", "ours", "spread", "seeds", "paper", "paper_spread", "difference", "failed"]


def numbers(grid: Grid, found: Found) -> str:
    """One number a line: the paper's scores in its own unit, with failures, then whatever else a run has measured."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for line in lines(grid, found):
        for values in (*_paper_scores(grid, line), *_other_scores(grid, line)):
            writer.writerow([line.column, line.row, *(f"{v:.6g}" if isinstance(v, float) else v for v in values)])
    return text.getvalue()


def _paper_scores(grid: Grid, line: Line) -> list[list]:
    rows = {row.name: row for row in grid.table.rows}
    same = paper_column(grid, line.column)[2]
    failed = "; ".join(f"seed {record['seed']}: {record['failed']}" for record in line.failed)
    found = []
    for name, metric in grid.metrics.items():
        score = line.score(metric.key)
        printed = published(grid.table, rows[line.row], line.column, name) if same and line.row in rows else None
        ours = _scaled(score, metric.scale)
        difference = ours[0] - printed[0] if score and printed else None
        found.append([metric.label, metric.unit, *ours, *(printed or (None, None)), difference, failed])
    return found


def _other_scores(grid: Grid, line: Line) -> list[list]:
    own = {"seed", *(metric.key for metric in grid.metrics.values())}
    summaries = [record["summary"] for record in line.records if "summary" in record]
    keys = {key: None for s in summaries for key, value in s.items() if isinstance(value, (int, float))}
    return [[key, "", *_scaled(line.score(key), 1), None, None, None, ""] for key in keys if key not in own]


def _scaled(score: Score | None, scale: float) -> list:
    if score is None:
        return [None, None, 0]
    return [score.mean * scale, None if score.spread is None else score.spread * scale, score.count]
