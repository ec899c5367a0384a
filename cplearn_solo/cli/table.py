"""What ``cplearn table`` does once its configuration is composed. It needs a trainer only if cells have to run."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console

from cplearn_solo.cli.report import width
from cplearn_solo.config.read import resolved
from cplearn_solo.core.files import write_file
from cplearn_solo.core.schema import read_schema
from cplearn_solo.core.scripts import SCRIPTS
from cplearn_solo.core.stops import at_stop
from cplearn_solo.jobs.launch import check_launcher
from cplearn_solo.tables.numbers import numbers
from cplearn_solo.tables.plan import Grid, plan
from cplearn_solo.tables.render import latex, markdown, page, show
from cplearn_solo.tables.results import Found, Results
from cplearn_solo.tables.schema import GridConfig
from cplearn_solo.tables.sheet import make_sheet

# What cells import: it is loaded before their processes are started.
PRELOAD = ("cplearn_solo.cli.cell", "cplearn_solo.engine.train", "cplearn_solo.evaluation.summary")


def table_task(raw: Any, *, command: str) -> None:
    """Plans the grid, runs missing cells, writes every format and prints the table."""
    grid = planned(raw)
    results = Results(grid)
    found = results.find(grid.cells)
    if grid.request.run and not _complete(grid, found):
        found = _run(grid, results, found)
    _render(grid, results, found, command)


def planned(raw: Any) -> Grid:
    """The grid that a configuration describes; ``InputError`` for an invalid one."""
    values, own = resolved(raw), {field.name for field in fields(GridConfig)}
    request = read_schema({key: value for key, value in values.items() if key in own}, GridConfig)
    check_launcher(request.launcher, request.workers, request.slurm)
    return plan(request, {key: value for key, value in values.items() if key not in own}, scripts=SCRIPTS)


def _complete(grid: Grid, found: Found) -> bool:
    return not found.stale and all(c in found.records and "summary" in found.records[c] for c in grid.cells)


def _run(grid: Grid, results: Results, found: Found) -> Found:
    from cplearn_solo.cli.cell import cell_program
    from cplearn_solo.tables.schedule import by_identity, launcher_of, missing, run_cells

    results.require_comparable()
    work = Path(grid.request.work)
    todo = by_identity(missing(grid, found), work)
    if todo:
        launcher = launcher_of(grid, PRELOAD)
        with at_stop("stopped; the same command goes on from here"), results.locked():
            run_cells(todo, cell_program, launcher, results, work)
    return results.find(grid.cells)


def _render(grid: Grid, results: Results, found: Found, command: str) -> None:
    sheet = make_sheet(grid, found, command=command)
    console = Console(width=width())
    show(sheet, console)
    if not found.records:
        return
    images = _images(grid, found)
    files = {
        "table.md": markdown(sheet, images),
        "table.csv": numbers(grid, found),
        "table.tex": latex(sheet),
        "table.html": page(sheet, images.values()),
        **images,
    }
    written = [write_file(results.folder / name, content) for name, content in files.items()]
    console.print(f"\nwritten: {', '.join(map(str, written))}", markup=False, highlight=False)


def _images(grid: Grid, found: Found) -> dict[str, bytes]:
    if grid.table.plot is None:
        return {}
    from cplearn_solo.tables.plots import curves  # matplotlib takes a second to load

    return curves(grid, found)
