"""What a person sees while jobs run: which run, how many are left, when they end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import mean

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cplearn_solo.jobs.job import Job, Running


class Board:
    """A live table on a terminal, a line for each job that ends elsewhere. A context manager.

    ``things`` is what a person calls the jobs, in the plural.
    """

    def __init__(self, things: str = "jobs") -> None:
        self._things, self._console = things, Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=True) if sys.stdout.isatty() else None
        self._waiting: list[Job] = []
        self._running: list[Running] = []
        self._measured: dict[str, list[float]] = {}  # seconds by kind, of the jobs that ended here
        self._projected: dict[str, float] = {}  # seconds by kind, from the steps that a running job has done
        self._brief: set[str] = set()  # kinds whose time says nothing about others
        self._ended = self._failed = self._total = 0
        self._workers = 1

    def __enter__(self) -> Board:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def begin(self, jobs: Sequence[Job], workers: int) -> None:
        """Before the first job starts."""
        self._waiting, self._total = list(jobs), len(jobs)
        self._brief = {job.kind for job in jobs if job.brief}
        self._workers = min(workers, max(1, len(jobs)))
        self._console.print(f"{len(jobs)} {self._things} to run, {self._workers} at a time")

    def started(self, running: Running) -> None:
        """After a job has started."""
        self._waiting.remove(running.job)
        self._running.append(running)

    def ended(self, running: Running, failed: str | None) -> None:
        """After a job has ended, with the reason if it has failed."""
        job, seconds = running.job, running.seconds
        self._running.remove(running)
        self._ended += 1
        self._failed += failed is not None
        if failed is None:
            self._measured.setdefault(job.kind, []).append(seconds)
        outcome = Text(f"failed: {failed}", "red") if failed else Text(_clock(seconds))
        left = f"  ({self._ended} of {self._total}, ends about {self._end()})"
        self._console.print(Text.assemble(f"{job.label}: ", outcome, (left, "dim")))

    def show(self) -> None:
        """Draws the live table."""
        if not self._live:
            return
        table = Table("running", "done", "for", show_edge=False)
        for running in self._running:
            table.add_row(running.job.label, self._steps(running), _clock(running.seconds))
        counts = f"{self._ended} done, {self._failed} of them failed"
        left = f"{len(self._running)} running, {len(self._waiting)} waiting; ends about {self._end()}"
        self._live.update(Group(table, Text(f"{counts}; {left}", "bold")), refresh=True)

    def _steps(self, running: Running) -> str:
        done, steps = running.job.steps_done() if running.job.steps_done else (0, 0)
        if not done:
            return ""
        self._projected[running.job.kind] = running.seconds * steps / done
        return f"{done} of {steps}"

    def _end(self) -> str:
        """Time of day. A job counts as long as others of its kind took, else as its own steps, else as other kinds."""
        known = {**self._projected, **{kind: mean(seconds) for kind, seconds in self._measured.items()}}
        others = [seconds for kind, seconds in known.items() if kind not in self._brief]
        if not others and any(not job.brief for job in self._waiting):
            return "(unknown yet)"

        def expected(job: Job) -> float:
            return known.get(job.kind, mean(others) if others and not job.brief else 0.0)

        left = sum(expected(job) for job in self._waiting)
        left += sum(max(0.0, expected(running.job) - running.seconds) for running in self._running)
        end = datetime.now() + timedelta(seconds=left / self._workers)
        return end.strftime("%H:%M" if end.date() == datetime.now().date() else "%d %b %H:%M")


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
