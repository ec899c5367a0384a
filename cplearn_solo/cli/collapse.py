"""``cplearn collapse``: compares runs and shows which of them have collapsed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING

from cplearn_solo.cli.options import parser_of, without_key
from cplearn_solo.core.progress import patience

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from cplearn_solo.collapse import Report
    from cplearn_solo.collapse.comparison import Comparison

COLLAPSE = """Shows whether representations have collapsed and how: figures, a table and one page to open in a browser.

  cplearn collapse RUN                         a run folder, or a checkpoint
  cplearn collapse RUN RUN RUN                 side by side
  cplearn collapse RUN RUN RUN RUN --group     side by side, but a curve for runs that differ in the seed alone
  cplearn collapse RUN features.npy            beside features of other software

A tensor (n, d) in .npy or .pt is features; .npz, or a dict in .pt, holds 'features' and optionally 'embeddings' (n, f),
'labels' (n,) and 'codes' (n,). Runs are measured on their held-out images."""

TITLES, VALUES, SPREAD = 41, 13, 8  # characters of the first column, each other column, and a spread


def command_line() -> argparse.ArgumentParser:
    """The program's options."""
    parser = parser_of("collapse", COLLAPSE)
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", type=without_key, help="run folder, checkpoint, or file of features"
    )
    parser.add_argument(
        "--output", metavar="FOLDER", help="new folder (default: RUN/figures/TIME for one run, else collapse/TIME)"
    )
    parser.add_argument(
        "--images", type=int, default=10_000, metavar="N", help="most images or rows of each (default: %(default)s)"
    )
    parser.add_argument(
        "--max-components",
        type=int,
        default=200,
        metavar="N",
        help="most components of a Gaussian mixture; 1000 is the paper's protocol (default: %(default)s)",
    )
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="other data than the runs were trained on, as val_path=FOLDER --data val_split=0",
    )
    parser.add_argument(
        "--group", action="store_true", help="mean and spread of runs that differ in the seed alone, as one curve"
    )
    parser.add_argument(
        "--protocol",
        default="standard",
        metavar="NAME",
        help="of spectra and entropies: standard, or released, as the released code of CPLearn (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of random choices; a run's scores are by its own (default: %(default)s)"
    )
    return parser


def collapse_task(options: argparse.Namespace) -> None:
    """Writes the report with a progress bar, prints its table and the path of its page."""
    from cplearn_solo.cli.data_keys import data_keys
    from cplearn_solo.collapse.asked import check_asked, check_path
    from cplearn_solo.config.checks import check_numbers

    asked = {key: getattr(options, key) for key in ("images", "max_components", "protocol", "output")}
    check_asked(**asked)
    check_numbers({}, seed=options.seed)
    data = data_keys(options.data)
    for run in options.runs:
        check_path(run)

    from rich.console import Console

    from cplearn_solo.collapse import write_report

    with _steps() as show:
        settings = {"data": data, "seed": options.seed, "group": options.group}
        written = write_report(options.runs, **asked, **settings, progress=show)
    _print(Console(), written)
    print(f"report: {written.page}")


@contextmanager
def _steps() -> Iterator[Callable[[int, int, str], None]]:
    """Shows a bar, or lines where there is no terminal; yields a function that takes the steps done, their total and
    the title of the step that begins."""
    if not sys.stderr.isatty():
        with patience("reading") as call:
            yield lambda done, total, title: call(f"{title}, step {done + 1} of {total}")
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda done, total, title: bar.update(task, completed=done, total=total, description=f"{title:<50.50}")


def _table(comparison: Comparison, groups: slice) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from cplearn_solo.collapse.page import measured, number

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
    from cplearn_solo.collapse.page import absences

    comparison = written.comparison
    for name, verdict in zip(comparison.names, comparison.verdicts):
        for line in (f"{name}: {verdict.message}", f"  {verdict.numbers}"):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    columns = max(1, (console.width - TITLES) // _width(comparison))
    for start in range(0, len(comparison.groups), columns):
        console.print(_table(comparison, slice(start, start + columns)))
    for titles, why in absences(comparison.rows, comparison.group_names):
        console.print(f"left out: {titles}: {why}", markup=False, highlight=False, soft_wrap=True)
