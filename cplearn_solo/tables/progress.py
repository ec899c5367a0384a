"""What a person sees while a grid runs: what runs, what is left, when it ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cplearn_solo.tables.plan import FLOORS

if TYPE_CHECKING:
    from cplearn_solo.tables.schedule import Task


class Board:
    """A live table on a terminal, a line for each cell that ends elsewhere. A context manager."""

    def __init__(self) -> None:
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=True) if sys.stdout.isatty() else None
        self._seconds: dict[str, list[float]] = {}  # by row, of the cells that ended here
        self._projected: dict[str, float] = {}  # by row, from the epochs of a cell that runs
        self._tasks: list[Task] = []
        self._ended = self._failed = 0
        self._workers = 1

    def __enter__(self) -> Board:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def begin(self, tasks: Sequence[Task], workers: int) -> None:
        """Before the first cell starts."""
        self._tasks, self._workers = list(tasks), min(workers, max(1, len(tasks)))
        self._console.print(f"{len(tasks)} cells to run, {self._workers} at a time")

    def ended(self, task: Task, failed: str | None) -> None:
        """After a cell, with the reason if it has failed."""
        seconds, cell = time.time() - task.started, task.cells[0]
        self._ended += 1
        self._failed += failed is not None
        if failed is None:
            self._seconds.setdefault(cell.row, []).append(seconds)
        outcome = Text(f"failed: {failed}", "red") if failed else Text(_clock(seconds))
        left = f"  ({self._ended} of {len(self._tasks)}, ends about {self._end(())})"
        self._console.print(Text.assemble(f"{cell}: ", outcome, (left, "dim")))

    def show(self, running: Sequence[Task], waiting: int) -> None:
        """Draws the live table."""
        if not self._live:
            return
        table = Table("running", "column", "seed", "epoch", "for", show_edge=False)
        for task in running:
            cell, seconds = task.cells[0], time.time() - task.started
            done, epochs = _epochs_done(task.folder), cell.config.get("max_epochs")
            if done and epochs:
                self._projected[cell.row] = seconds * epochs / done
            table.add_row(cell.row, cell.column, str(cell.seed), f"{done} of {epochs}" if done else "", _clock(seconds))
        counts = f"{self._ended} done, {self._failed} of them failed; {len(running)} running, {waiting} waiting"
        self._live.update(Group(table, Text(f"{counts}; ends about {self._end(running)}", "bold")), refresh=True)

    def _end(self, running: Sequence[Task]) -> str:
        """Time of day. A row counts as long as its own seeds, else as its own epochs, else as the other rows."""
        trained = [mean(seconds) for row, seconds in self._seconds.items() if row not in FLOORS]
        others = [*trained, *self._projected.values()]
        waiting = [task for task in self._tasks if not task.started]
        if not others and any(not task.cells[0].floor for task in waiting):
            return "(unknown yet)"
        left = sum(self._expected(task.cells[0].row, others) for task in waiting)
        for task in running:
            left += max(0.0, self._expected(task.cells[0].row, others) - (time.time() - task.started))
        end = datetime.now() + timedelta(seconds=left / self._workers)
        return end.strftime("%H:%M" if end.date() == datetime.now().date() else "%d %b %H:%M")

    def _expected(self, row: str, others: list[float]) -> float:
        if row in self._seconds:
            return mean(self._seconds[row])
        return self._projected.get(row, mean(others) if others and row not in FLOORS else 0.0)


def _epochs_done(folder: Path) -> int:
    logs = sorted(folder.glob("*/*/metrics.csv"))
    return max(0, logs[-1].read_text().count("\n") - 1) if logs else 0


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
