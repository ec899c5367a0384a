"""A job: what a process of its own does in a folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

LOG, RESULT = "log.txt", "result.json"  # in the folder of a job
ATTEMPT = "--- attempt of "  # begins each attempt's part of the log
NAME = "job"  # begins the line of the log that tells of bad input
UNWRITTEN = 74  # exit code of a job that could write no more, as on a full disk (EX_IOERR of sysexits.h)

# A function at the top of a module. It works in the job's folder and returns what goes to result.json. That module, run
# as a script with the folder as its argument, does the same: Lightning starts it so for a job's other devices.
Program = Callable[[Path], dict[str, Any]]


@dataclass(frozen=True)
class Job:
    """Work that is done once ``folder`` has a ``result.json``."""

    key: str  # of the work: two jobs of one key would do the same
    folder: Path
    label: str  # for people
    program: Program
    files: dict[str, str] = field(default_factory=dict)  # name to content: what the program finds in the folder
    kind: str = ""  # jobs of one kind take about the same time
    brief: bool = False  # its time says nothing about that of other kinds
    steps_done: Callable[[], tuple[int, int]] | None = None  # while it runs: how many steps, of how many


class Process(Protocol):
    """What does a job's work, here or elsewhere."""

    def done(self) -> bool:
        """Whether it has ended."""

    def exit_code(self) -> int:
        """Of an ended one; negative: the signal that killed it."""

    def stop(self) -> None:
        """Asks it to end."""

    def end(self) -> None:
        """Waits until it has ended, or ends it."""


@dataclass(frozen=True)
class Running:
    """A job that was ``started`` (by a clock that nobody sets) in the place ``slot`` of a launcher."""

    job: Job
    process: Process
    slot: int
    started: float

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.started
