"""A cell as a process of its own, on this machine or through SLURM."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, Protocol

from cplearn_solo.core.errors import InputError

LOG, RESULT = "log.txt", "result.json"
ATTEMPT = "--- attempt of "  # begins each attempt's part of the log
MEMORY_A_CELL = 4 * 2**30  # bytes; more than any configuration that is shipped needs, its libraries included

# Runs the cell prepared in a folder with these environment variables, and writes its output to the folder's log.
Program = Callable[[str, dict[str, str]], None]


class Job(Protocol):
    """A running cell."""

    def done(self) -> bool:
        """Whether it has ended."""

    def exit_code(self) -> int:
        """Of an ended one; negative: the signal that killed it."""

    def stop(self) -> None:
        """Ends it."""


class Launcher(Protocol):
    """Starts cells, ``workers`` at a time."""

    workers: int

    def start(self, folder: Path, slot: int) -> Job:
        """Starts the cell prepared in ``folder`` in the place ``slot``, 0 to ``workers`` - 1."""


class LocalJob:
    """A child process."""

    def __init__(self, process: Any) -> None:
        self._process = process
        process.start()

    def done(self) -> bool:
        return not self._process.is_alive()

    def exit_code(self) -> int:
        return self._process.exitcode

    def stop(self) -> None:
        self._process.kill()
        self._process.join()


class Local:
    """Processes on this machine, with its cores divided among them and its GPUs, ``devices`` of them each, in turn.

    They are forked from one process that has imported everything, which saves each of them some seconds.
    """

    def __init__(self, program: Program, workers: int | None, *, devices: Any, use_gpus: bool) -> None:
        if workers is not None and workers < 1:
            raise InputError(f"workers = {workers}: must be at least 1")
        self._program, self._gpus = program, _groups(_gpus(), devices) if use_gpus else []
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self.workers = workers or max(1, min(len(self._gpus) or cores, memory // MEMORY_A_CELL))
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([program.__module__, "cplearn_solo.cli.tasks"])
        # OpenMP reads this when it is loaded
        with _environment(OMP_NUM_THREADS=os.environ.get("OMP_NUM_THREADS", str(max(1, cores // self.workers)))):
            forkserver.ensure_running()

    def start(self, folder: Path, slot: int) -> LocalJob:
        gpu = {"CUDA_VISIBLE_DEVICES": self._gpus[slot % len(self._gpus)]} if self._gpus else {}
        return LocalJob(self._context.Process(target=self._program, args=(str(folder), gpu)))


class SlurmJob:
    """A job of SLURM; it goes on when this process ends."""

    def __init__(self, job: Any) -> None:
        self._job = job

    def done(self) -> bool:
        return self._job.done()

    def exit_code(self) -> int:
        return 0 if self._job.exception() is None else 1

    def stop(self) -> None:
        self._job.cancel()


class Slurm:
    """Jobs of SLURM by submitit and its ``parameters``, all at once unless ``workers`` says how many."""

    def __init__(self, program: Program, workers: int | None, *, folder: Path, parameters: dict[str, Any]) -> None:
        try:
            import submitit
        except ModuleNotFoundError as error:
            raise InputError(
                "launcher = 'slurm': needs submitit, which is not installed: pip install 'cplearn-solo[slurm]'"
            ) from error
        self._program, self.workers = program, workers or 1000
        cluster = parameters.get("cluster", "slurm")
        own = {key: value for key, value in parameters.items() if key != "cluster"}
        try:
            self._executor = submitit.AutoExecutor(folder=folder / "slurm", cluster=cluster)
            self._executor.update_parameters(**{"name": "cplearn-table", **own})
        except (RuntimeError, NameError, TypeError, ValueError) as error:
            raise InputError(f"launcher = 'slurm': {' '.join(str(error).split())}") from error

    def start(self, folder: Path, slot: int) -> SlurmJob:
        return SlurmJob(self._executor.submit(self._program, str(folder), {}))


def failure(folder: Path, exit_code: int) -> str:
    """Why a cell's process ended without a result, from its log."""
    if exit_code < 0:
        return f"killed by signal {-exit_code}{', perhaps for want of memory' if exit_code == -9 else ''}"
    log = (folder / LOG).read_text(errors="replace").rpartition(ATTEMPT)[2].splitlines()[1:]
    lines = [line.strip() for line in log if line.strip()]
    errors = [line.partition("error: ")[2] for line in lines if line.startswith("cell: error: ")]
    return (errors or lines or [f"exit code {exit_code}"])[-1]


def _gpus() -> list[str]:
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]


def _groups(gpus: list[str], devices: Any) -> list[str]:
    """The GPUs of one cell each, as ``CUDA_VISIBLE_DEVICES`` has them."""
    if not gpus:
        return []
    size = len(devices) if isinstance(devices, list) else int(devices) if str(devices).isdigit() else len(gpus)
    if not 1 <= size <= len(gpus):
        raise InputError(f"devices = {devices}: this machine has {len(gpus)} GPUs")
    return [",".join(gpus[i : i + size]) for i in range(0, len(gpus) - size + 1, size)]


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
