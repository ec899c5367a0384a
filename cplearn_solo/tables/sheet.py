"""A grid's results beside the paper's numbers, as text cells that every output format shares."""

from __future__ import annotations

from dataclasses import dataclass

from cplearn_solo.tables.paper import published
from cplearn_solo.tables.plan import Grid
from cplearn_solo.tables.results import Found, Record
from cplearn_solo.tables.schema import Metric
from cplearn_solo.tables.scores import COMPANIONS, Line, Score, lines, paper_column

ABSENT = "–"


@dataclass(frozen=True)
class Block:
    """One score of all rows in one column."""

    title: str
    header: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Sheet:
    """All there is to show; ``notes`` are sentences, ``failures`` cells that have no result to show and why."""

    title: str
    blocks: list[Block]
    notes: list[str]
    failures: list[str]


def make_sheet(grid: Grid, found: Found, *, command: str) -> Sheet:
    """The whole sheet; ``command`` is what the user typed."""
    all_lines = list(lines(grid, found))
    blocks = [
        _block(grid, column, metric, [line for line in all_lines if line.column == column])
        for column in grid.columns
        for metric in grid.metrics
    ]
    failures = [
        f"{line.row}, {line.column}, seed {record['seed']} failed: {record['failed']} ({record['log']})"
        for line in all_lines
        for record in line.failed
    ]
    failures += [f"{cell} is stale: its configuration has changed since it was run" for cell, _ in found.stale]
    return Sheet(f"{grid.table.title} ({grid.table.source})", blocks, _notes(grid, found, command), failures)


def _block(grid: Grid, column: str, name: str, in_column: list[Line]) -> Block:
    metric = grid.metrics[name]
    reference, theirs, same = paper_column(grid, column)
    companions = COMPANIONS.get(metric.key, ())
    rows = {row.name: row for row in grid.table.rows}
    body = []
    for line in in_column:
        printed = published(grid.table, rows[line.row], reference, name) if line.row in rows else None
        score = line.score(metric.key)
        difference = score.mean * metric.scale - printed[0] if score and printed and same else None
        body.append(
            [
                line.row,
                _ours(line, score, metric),
                _printed(printed, metric),
                ABSENT if difference is None else f"{difference:+.{metric.decimals + 1}f}",
                *(_companion(line.score(key), metric, shared) for key, _, shared in companions),
            ]
        )
    unit = f" [{metric.unit}]" if metric.unit else ""
    title = f"{grid.columns[column].label}: {metric.label}{unit}"
    return Block(title, ["", "ours", theirs, "difference", *(heading for _, heading, _ in companions)], body)


def _ours(line: Line, score: Score | None, metric: Metric) -> str:
    if score is None and line.failed:
        return "failed"
    if score is None:
        return ABSENT if line.records else "not run"
    partly = f" ({score.count} of {line.wanted})" if score.count < line.wanted else ""
    return _value(score, metric.scale, metric.decimals + 1) + partly


def _companion(score: Score | None, metric: Metric, shared: bool) -> str:
    if score is None:
        return ABSENT
    return _value(score, metric.scale, metric.decimals + 1) if shared else _value(score, 1, 0)


def _value(score: Score, scale: float, decimals: int) -> str:
    value = f"{score.mean * scale:.{decimals}f}"
    return value if score.spread is None else f"{value} ± {score.spread * scale:.{decimals}f}"


def _printed(printed: tuple[float, float | None] | None, metric: Metric) -> str:
    if printed is None:
        return ABSENT
    value, spread = printed
    text = f"{value:.{metric.decimals}f}"
    return text if spread is None else f"{text} ± {spread:.{metric.decimals}f}"


def _notes(grid: Grid, found: Found, command: str) -> list[str]:
    done = [record["summary"] for record in found.records.values() if "summary" in record]
    notes = [
        f"Paper: {', '.join(part for part in (grid.table.source, grid.table.protocol) if part)}.",
        f"Ours: scale {grid.request.scale}, settings {grid.setting}: {grid.table.settings[grid.setting].note}.",
        f"Mean ± sample standard deviation over seeds {', '.join(map(str, grid.seeds))}."
        if len(grid.seeds) > 1
        else f"Seed {grid.seeds[0]} only.",
        "NMI grows with the number of codes even where they are random: read it beside NMI at chance, the score of the "
        f"same codes with labels permuted, and AMI. {ABSENT}: nothing to measure (a method without codes has no NMI).",
    ]
    if not all(paper_column(grid, column)[2] for column in grid.columns):
        notes.append("The paper's images are others: its numbers stand for orientation, without a difference.")
    if grid.overrides:
        notes.append(f"Changed in every cell: {', '.join(grid.overrides)}.")
    scored = {f"{s['scored_images']} {s['scored_on']} images of {s['dataset']}" for s in done if "scored_on" in s}
    notes += [f"Scored on {', '.join(sorted(scored))}."] if scored else []
    notes += [note for note in (grid.table.note, *(f"{r.name}: {r.note}" for r in grid.table.rows if r.note)) if note]
    if done:
        dates = sorted(r["date"] for r in found.records.values() if "date" in r)
        when = f"on {dates[0]}" if dates[0] == dates[-1] else f"from {dates[0]} to {dates[-1]}"
        notes.append(f"Run {when} with {_versions(done)}.")
    notes += [found.note] if found.note else []
    return [*notes, f"Command: {command}"]


def _versions(summaries: list[Record]) -> str:
    packages = {f"{name} {number}" for s in summaries for name, number in s["versions"].items()}
    commits = {f"commit {s['git_sha']}" for s in summaries if s.get("git_sha")}
    return ", ".join([*sorted(packages), *sorted(commits)])
