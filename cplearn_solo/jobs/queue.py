"""Runs jobs side by side; any of them may fail, and this process may be killed."""

from __future__ import annotations

import json
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cplearn_solo.core.files import append_line, write_file, written
from cplearn_solo.jobs.job import ATTEMPT, LOG, NAME, RESULT, UNWRITTEN, Job, Running
from cplearn_solo.jobs.launch import Launcher
from cplearn_solo.jobs.progress import Board

POLL_SECONDS = 0.25

# What the program returned, or "failed": the reason, "log": the file, and "interrupted": True if the work was asked to
# end or could not write, so that it can be resumed.
Outcome = dict[str, Any]

ASKED = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = {UNWRITTEN, *(code for number in ASKED for code in (-number, 128 + number))}  # exit codes


def run_jobs(
    jobs: Sequence[Job], launcher: Launcher, board: Board, ended: Callable[[Job, Outcome, float], None]
) -> None:
    """Runs ``jobs`` in order, and calls ``ended`` with the outcome and seconds of each as soon as it has ended.

    Processes that still run when this function ends, also by an exception, are stopped.
    """
    waiting, running, free = deque(jobs), [], deque(range(min(launcher.workers, len(jobs))))
    board.begin(jobs, launcher.workers)
    try:
        while waiting or running:
            while waiting and free:
                started = _start(waiting.popleft(), free.popleft(), launcher)
                running.append(started)
                board.started(started)
            for one in [one for one in running if one.process.done()]:
                running.remove(one)
                free.append(one.slot)
                outcome = _outcome(one)
                ended(one.job, outcome, one.seconds)
                board.ended(one, outcome.get("failed"))
            board.show()
            time.sleep(POLL_SECONDS if running else 0)
    finally:
        for one in running:
            one.process.stop()
        for one in running:
            one.process.end()


def _start(job: Job, slot: int, launcher: Launcher) -> Running:
    with written(job.folder):
        job.folder.mkdir(parents=True, exist_ok=True)
    for name, content in job.files.items():
        write_file(job.folder / name, content)
    append_line(job.folder / LOG, f"{ATTEMPT}{time.strftime('%Y-%m-%d %H:%M:%S')}")
    started = time.monotonic()
    return Running(job, launcher.start(job, slot), slot, started)


def _outcome(ended: Running) -> Outcome:
    exit_code, folder = ended.process.exit_code(), ended.job.folder
    if (folder / RESULT).exists():
        return json.loads((folder / RESULT).read_text())
    failed = {"failed": _failure(folder / LOG, exit_code), "log": str(folder / LOG)}
    return {**failed, "interrupted": True} if exit_code in INTERRUPTED else failed


def _failure(log: Path, exit_code: int) -> str:
    """Why a process ended without a result: the signal, or the last line or error line of its last attempt."""
    if exit_code < 0:
        return f"killed by signal {-exit_code}{', perhaps for want of memory' if exit_code == -9 else ''}"
    attempt = log.read_text(errors="replace").rpartition(ATTEMPT)[2].splitlines()[1:]
    lines = [line.strip() for line in attempt if line.strip()]
    told = f"{NAME}: error: "
    errors = [line.removeprefix(told) for line in lines if line.startswith(told)]
    return (errors or lines or [f"exit code {exit_code}"])[-1].removeprefix(f"{NAME}: ")
