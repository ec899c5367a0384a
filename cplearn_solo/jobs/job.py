"""A job: work that a process of its own does in a folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

LOG, RESULT = "log.txt", "result.json"  # in the folder of a job
ATTEMPT = "--- attempt of "  # begins each attempt's part of the log
NAME = "job"  # begins the line of the log that reports bad input
UNWRITTEN = 74  # exit code of a job that could not write, as on a full disk (EX_IOERR of sysexits.h)

# A function at the top of a module. It works in the job's folder and returns the content of result.json. Its module
# does the same as a script with the folder as its argument: so Lightning starts the job's processes of other devices.
Program = Callable[[Path], dict[str, Any]]


@dataclass(frozen=True)
class Job:
    """Work that is done once ``folder`` has a ``result.json``."""

    key: str  # identifies the work: two jobs with the same key would do the same
    folder: Path
    label: str  # for people
    program: Program
    files: dict[str, str] = field(default_factory=dict)  # contents by name, written to the folder before the job starts
    kind: str = ""  # jobs of one kind take about the same time
    brief: bool = False  # its time says nothing about the time of other kinds
    steps_done: Callable[[], tuple[int, int]] | None = None  # steps that are done, and all, while it runs


class Process(Protocol):
    """The process that does a job's work, on this machine or another."""

    def done(self) -> bool:
        """Whether it has ended."""

    def exit_code(self) -> int:
        """Exit code after the end; negative: the signal that killed the process."""

    def stop(self) -> None:
        """Asks it to end."""

    def end(self) -> None:
        """Waits until it has ended, or ends it."""


@dataclass(frozen=True)
class Running:
    """A job that was ``started`` (a time of the monotonic clock) in the place ``slot`` of a launcher."""

    job: Job
    process: Process
    slot: int
    started: float

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.started
