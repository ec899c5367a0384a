"""Progress of jobs for people: which are running, how many are left, when they end."""

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
    """A live table on a terminal; elsewhere, a line for each job that ends. A context manager.

    ``things``: the word for jobs in the plural.
    """

    def __init__(self, things: str = "jobs") -> None:
        self._things, self._console = things, Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=True) if sys.stdout.isatty() else None
        self._waiting: list[Job] = []
        self._running: list[Running] = []
        self._share: dict[str, float] = {}  # by key: the share of a job's steps that was left when it started
        # seconds of a whole job by kind: measured on ended jobs, and projected from the steps of a running one
        self._measured: dict[str, list[float]] = {}
        self._projected: dict[str, float] = {}
        self._brief: set[str] = set()  # kinds whose time says nothing about other kinds
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
        """Call before the first job starts."""
        self._waiting, self._total = list(jobs), len(jobs)
        self._brief = {job.kind for job in jobs if job.brief}
        self._share = {job.key: 1 - _done(job)[0] for job in jobs}
        self._workers = min(workers, max(1, len(jobs)))
        self._say(Text(f"{self._things} to run: {len(jobs)}, {self._workers} at a time"))

    def started(self, running: Running) -> None:
        """Call after a job has started."""
        self._waiting.remove(running.job)
        self._running.append(running)

    def ended(self, running: Running, failed: str | None) -> None:
        """Call after a job has ended; ``failed``: the reason if it has failed."""
        job, seconds = running.job, running.seconds
        self._running.remove(running)
        self._ended += 1
        self._failed += failed is not None
        if failed is None and self._share[job.key]:
            self._measured.setdefault(job.kind, []).append(seconds / self._share[job.key])
        outcome = Text(f"failed: {failed}", "red") if failed else Text(_clock(seconds))
        left = f"  ({', '.join([f'{self._ended} of {self._total}', *self._end()])})"
        self._say(Text.assemble(f"{job.label}: ", outcome, (left, "dim")))

    def show(self) -> None:
        """Draws the live table."""
        if not self._live:
            return
        table = Table("running", "done", "for", show_edge=False)
        for running in self._running:
            table.add_row(Text(running.job.label), self._steps(running), _clock(running.seconds))
        counts = f"{self._ended} done, {self._failed} of them failed"
        left = f"{len(self._running)} running, {len(self._waiting)} waiting"
        self._live.update(Group(table, Text("; ".join([counts, left, *self._end()]), "bold")), refresh=True)

    def _say(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True)  # unbroken also in a log, where rich would wrap it

    def _steps(self, running: Running) -> str:
        share, steps = _done(running.job)
        here = share - (1 - self._share[running.job.key])
        if here > 0:
            self._projected[running.job.kind] = running.seconds / here
        return steps

    def _end(self) -> list[str]:
        """The estimated time of the end, if there is an estimate. A job's time is that of ended jobs of its kind, else
        projected from steps of a running one, else that of other kinds; a resumed job counts by its remaining share."""
        known = {**self._projected, **{kind: mean(seconds) for kind, seconds in self._measured.items()}}
        others = [seconds for kind, seconds in known.items() if kind not in self._brief]
        if not others and any(not job.brief for job in self._waiting):
            return []

        def expected(job: Job) -> float:
            return known.get(job.kind, mean(others) if others and not job.brief else 0.0) * self._share[job.key]

        left = sum(expected(job) for job in self._waiting)
        left += sum(max(0.0, expected(running.job) - running.seconds) for running in self._running)
        end = datetime.now() + timedelta(seconds=left / self._workers)
        return [end.strftime(f"ends about {'%H:%M' if end.date() == datetime.now().date() else '%d %b %H:%M'}")]


def _done(job: Job) -> tuple[float, str]:
    """The share of its steps that a job has done, and the steps in words."""
    done, steps = job.steps_done() if job.steps_done else (0, 0)
    return (min(1.0, done / steps), f"{done} of {steps}") if done and steps > 0 else (0.0, "")


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
