"""A grid's results beside the paper's numbers, as text cells that every output format shares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from cplearn_solo.tables.compare import Lead, best_rows
from cplearn_solo.tables.leads import find_leads
from cplearn_solo.tables.notes import notes
from cplearn_solo.tables.paper import published
from cplearn_solo.tables.plan import Grid
from cplearn_solo.tables.results import Found
from cplearn_solo.tables.schema import Metric
from cplearn_solo.tables.scores import (
    ABSENT,
    Line,
    Score,
    companion,
    companions,
    lines,
    paper_column,
    ranked,
)

NONE: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Column:
    """Text of each row under a heading, and which rows are the best or not significantly worse."""

    heading: str
    texts: list[str]
    best: frozenset[int] = NONE

    @property
    def empty(self) -> bool:
        """Whether it has no number for any row."""
        return all(text == ABSENT for text in self.texts)


@dataclass(frozen=True)
class Block:
    """One score of all ``rows`` in one column of the grid, and the columns beside it."""

    title: str
    rows: list[str]
    columns: list[Column]

    @property
    def header(self) -> list[str]:
        """The headings; the first one, of the rows' names, is empty."""
        return ["", *(column.heading for column in self.columns)]

    @property
    def lines(self) -> list[list[tuple[str, bool]]]:
        """Texts of each row, its name first, and whether each is among the best of its column."""
        names = [[(name, False)] for name in self.rows]
        return [name + [(column.texts[i], i in column.best) for column in self.columns] for i, name in enumerate(names)]


@dataclass(frozen=True)
class Sheet:
    """The whole output; ``notes``: sentences; ``failures``: cells without a result, and the reasons."""

    title: str
    blocks: list[Block]
    notes: list[str]
    failures: list[str]


def make_sheet(grid: Grid, found: Found, *, command: str) -> Sheet:
    """The whole sheet; ``command``: the one that the user typed."""
    by_column = lines(grid, found)
    blocks, unmeasured = [], _undrawn(grid, by_column)
    for column, in_column in by_column.items():
        for name, metric in grid.metrics.items():
            if _nobody_measured(metric, in_column):
                unmeasured.append(f"{grid.columns[column].label}: {metric.label}")
                continue
            blocks.append(_block(grid, column, name, in_column))
            if grid.request.against is not None:
                blocks += _leads_block(grid, column, metric, in_column)
    failures = _failures(chain.from_iterable(by_column.values()))
    failures += [f"{cell} is stale: its configuration has changed since it was run" for cell, _ in found.stale]
    title = f"{grid.table.title} ({grid.table.source})"
    return Sheet(title, blocks, notes(grid, found, unmeasured, command), failures)


def _failures(all_lines: Iterable[Line]) -> list[str]:
    """A line for each reason, because many cells may fail for the same one, such as a missing network."""
    cells: dict[str, list[tuple[str, str]]] = {}
    for line in all_lines:
        for record in line.failed:
            cell = f"{line.row}, {line.column}, seed {record['seed']}"
            cells.setdefault(record["failed"], []).append((cell, record["log"]))
    found = []
    for reason, ((first, log), *others) in cells.items():
        more = f" and {len(others)} more" if others else ""
        found.append(f"{first}{more} failed: {reason} ({log})")
    return found


def _undrawn(grid: Grid, by_column: dict[str, list[Line]]) -> list[str]:
    """Curves that the table draws and no run has, say because of a typo, or as another table has run the cells."""
    found = []
    for column, in_column in by_column.items():
        records = [record for line in in_column for record in line.records if "run" in record]
        there = {name for record in records for name in record.get("curves", ())}
        wanted = [metric.curve for metric in grid.metrics.values() if metric.curve and grid.table.plot == "epochs"]
        found += [f"{grid.columns[column].label}: curve {name}" for name in wanted if records and name not in there]
    return found


def _nobody_measured(metric: Metric, in_column: Sequence[Line]) -> bool:
    """Whether all finished runs lack the score, as runs of earlier versions do."""
    done = any("summary" in record for line in in_column for record in line.records)
    return done and not any(line.by_seed(metric.key) for line in in_column)


def _block(grid: Grid, column: str, name: str, in_column: Sequence[Line]) -> Block:
    metric = grid.metrics[name]
    reference, heading, same = paper_column(grid, column)
    rows = {row.name: row for row in grid.table.rows}
    printed = [
        published(grid.table, rows[line.row], reference, metric.paper or name) if line.row in rows else None
        for line in in_column
    ]
    beside = companions(metric, in_column)
    best = {key: _best(key, which, in_column) for key, which in ranked(metric, beside).items()}
    scores = [line.score(metric.key) for line in in_column]
    differences = zip(scores, printed if same and metric.paper is None else [None] * len(printed))
    columns = [
        Column("ours", [_ours(*pair, metric) for pair in zip(in_column, scores)], best.get(metric.key or "", NONE)),
        Column(heading, [_printed(value, metric) for value in printed]),
        Column("difference", [_difference(*pair, metric) for pair in differences]),
        *(Column(companion(key).heading, _companion(key, metric, in_column), best.get(key, NONE)) for key in beside),
    ]
    return Block(_title(grid, column, metric), [line.row for line in in_column], [c for c in columns if not c.empty])


def _companion(key: str, metric: Metric, in_column: Sequence[Line]) -> list[str]:
    shown = companion(key)
    scale, decimals = (metric.scale, metric.decimals + 1) if shown.shares_unit else (1.0, shown.decimals)
    scores = [line.score(key) for line in in_column]
    return [ABSENT if score is None else _value(score, scale, decimals) for score in scores]


def _leads_block(grid: Grid, column: str, metric: Metric, in_column: Sequence[Line]) -> list[Block]:
    """The block of differences, or no block if no score has any."""
    columns = []
    for found in find_leads(grid, metric, in_column):
        heading = "ours" if found.key == metric.key else companion(found.key).heading
        texts = [_lead(found.by_row.get(line.row), metric) for line in in_column]
        columns.append(Column(f"{heading}, less {found.opponent}", texts))
    title = f"{_title(grid, column, metric)}, differences"
    return [Block(title, [line.row for line in in_column], columns)] if columns else []


def _title(grid: Grid, column: str, metric: Metric) -> str:
    return f"{grid.columns[column].label}: {metric.label}{f' [{metric.unit}]' if metric.unit else ''}"


def _best(key: str, which: str, in_column: Sequence[Line]) -> frozenset[int]:
    names = best_rows({line.row: line.by_seed(key) for line in in_column}, lower=which == "lower")
    return frozenset(i for i, line in enumerate(in_column) if line.row in names)


def _ours(line: Line, score: Score | None, metric: Metric) -> str:
    if score is None and line.failed:
        return "failed"
    if score is None:
        return ABSENT if line.records else "not run"
    partly = f" ({score.count} of {line.wanted})" if score.count < line.wanted else ""
    return _value(score, metric.scale, metric.decimals + 1) + partly


def _value(score: Score, scale: float, decimals: int) -> str:
    value = f"{score.mean * scale:.{decimals}f}"
    return value if score.spread is None else f"{value} ± {score.spread * scale:.{decimals}f}"


def _printed(printed: tuple[float, float | None] | None, metric: Metric) -> str:
    if printed is None:
        return ABSENT
    value, spread = printed
    text = f"{value:.{metric.decimals}f}"
    return text if spread is None else f"{text} ± {spread:.{metric.decimals}f}"


def _difference(score: Score | None, printed: tuple[float, float | None] | None, metric: Metric) -> str:
    if score is None or printed is None:
        return ABSENT
    return f"{score.mean * metric.scale - printed[0]:+.{metric.decimals + 1}f}"


def _lead(found: Lead | None, metric: Metric) -> str:
    if found is None:
        return ABSENT
    numbers = (found.mean, found.low, found.high)
    mean, low, high = (f"{number * metric.scale:+.{metric.decimals + 1}f}" for number in numbers)
    return f"{mean} ({low} to {high})"
