"""``cplearn collapse``: compares runs and shows which of them have collapsed."""

from __future__ import annotations

import argparse
from itertools import groupby

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cplearn_solo.cli.data_keys import data_keys
from cplearn_solo.collapse import Report, write_report
from cplearn_solo.collapse.comparison import Comparison
from cplearn_solo.collapse.page import absences, measured, number

TITLES, VALUES, SPREAD = 41, 13, 8  # characters of the table's first column, each other, and a spread, with borders


def report(options: argparse.Namespace) -> None:
    """Writes the report with a progress bar, prints its table and the path of its page."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    console = Console()
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("reading", total=None)
        written = write_report(
            options.runs,
            output=options.output,
            images=options.images,
            max_components=options.max_components,
            data=data_keys(options.data),
            seed=options.seed,
            group=options.group,
            protocol=options.protocol,
            progress=lambda done, total, title: bar.update(
                task, completed=done, total=total, description=f"{title:<50.50}"
            ),
        )
    _print(console, written)
    print(f"report: {written.page}")


def _table(comparison: Comparison, groups: slice) -> Table:
    table = Table(show_edge=False)
    table.add_column("measure", no_wrap=True)
    for name in comparison.group_names[groups]:
        table.add_column(escape(name), justify="right", overflow="fold", min_width=_width(comparison) - 3)
    for section, rows in groupby(measured(comparison.rows), key=lambda row: row.section):
        table.add_row(f"[bold]{section}")
        for row in rows:
            table.add_row(row.title, *(number(cell) for cell in row.cells[groups]))
        table.add_section()
    return table


def _width(comparison: Comparison) -> int:
    """Characters of a column of numbers."""
    return VALUES if len(comparison.groups) == len(comparison.subjects) else VALUES + SPREAD


def _print(console: Console, written: Report) -> None:
    comparison = written.comparison
    for name, verdict in zip(comparison.names, comparison.verdicts):
        for line in (f"{name}: {verdict.message}", f"  {verdict.numbers}"):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    columns = max(1, (console.width - TITLES) // _width(comparison))
    for start in range(0, len(comparison.groups), columns):
        console.print(_table(comparison, slice(start, start + columns)))
    for titles, why in absences(comparison.rows, comparison.group_names):
        console.print(f"left out: {titles}: {why}", markup=False, highlight=False)
