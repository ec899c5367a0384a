"""A cell as a process of its own, on this machine or through SLURM."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

from cplearn_solo.registry import InputError

LOG, RESULT = "log.txt", "result.json"
ATTEMPT = "--- attempt of "  # begins each attempt's part of the log
GIB = 2**30
MEMORY_A_CELL = 4 * GIB  # more than any configuration that is shipped needs, its libraries included


class Job(Protocol):
    """A running cell."""

    def done(self) -> bool:
        """Whether it has ended."""

    def exit_code(self) -> int:
        """Of an ended one; negative: the signal that killed it."""

    def stop(self) -> None:
        """Ends it."""


class LocalJob:
    """``command`` as a child that ends when this process does, whatever ends this process."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        with open(folder / LOG, "a") as log:
            self._process = subprocess.Popen(
                [*command, "--with-parent"],
                stdin=subprocess.PIPE,  # closed by the system when this process is gone
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
            )

    def done(self) -> bool:
        return self._process.poll() is not None

    def exit_code(self) -> int:
        return self._process.wait()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class SlurmJob:
    """``command`` as a job that submitit hands to SLURM; it goes on when this process ends."""

    def __init__(self, command: list[str], folder: Path, executor: Any) -> None:
        import submitit

        self._job = executor.submit(submitit.helpers.CommandFunction(["sh", "-c", _logged(command, folder)]))

    def done(self) -> bool:
        return self._job.done()

    def exit_code(self) -> int:
        return 0 if self._job.exception() is None else 1

    def stop(self) -> None:
        self._job.cancel()


class Local:
    """Starts jobs on this machine, ``workers`` at a time, with its cores divided and its GPUs in turn."""

    def __init__(self, workers: int | None, *, accelerator: str) -> None:
        self._gpus = [] if accelerator == "cpu" else _gpus()
        self._cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.workers = workers or self._default_workers()
        if self.workers < 1:
            raise InputError(f"workers = {workers}: must be at least 1")

    def start(self, command: list[str], folder: Path, slot: int) -> LocalJob:
        """Starts ``command`` in the place ``slot``, 0 to ``workers`` - 1."""
        threads = str(max(1, self._cores // self.workers))
        environment = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads)}
        if self._gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self._gpus[slot % len(self._gpus)]
        return LocalJob(command, folder, environment)

    def _default_workers(self) -> int:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return max(1, min(len(self._gpus) or self._cores // 2, memory // MEMORY_A_CELL))


class Slurm:
    """Hands jobs to SLURM, all at once unless ``workers`` says how many; ``parameters`` are submitit's."""

    def __init__(self, workers: int | None, *, folder: Path, parameters: dict[str, Any]) -> None:
        try:
            import submitit
        except ModuleNotFoundError as error:
            raise InputError(
                "launcher = 'slurm': needs submitit, which is not installed: pip install 'cplearn-solo[slurm]'"
            ) from error
        parameters = dict(parameters)
        try:
            self._executor = submitit.AutoExecutor(folder=folder / "slurm", cluster=parameters.pop("cluster", "slurm"))
            self._executor.update_parameters(**{"name": "cplearn-table", **parameters})
        except (RuntimeError, NameError, TypeError, ValueError) as error:
            raise InputError(f"launcher = 'slurm': {' '.join(str(error).split())}") from error
        self.workers = workers or 1000

    def start(self, command: list[str], folder: Path, slot: int) -> SlurmJob:
        """Submits ``command``; places mean nothing here."""
        return SlurmJob(command, folder, self._executor)


def cell_command(folder: Path) -> list[str]:
    """The program that runs the cell prepared in ``folder``."""
    return [sys.executable, "-m", "cplearn_solo.cli.cell", str(folder)]


def failure(folder: Path, exit_code: int) -> str:
    """Why a cell's process ended without a result, from its log."""
    log = (folder / LOG).read_text(errors="replace").rpartition(ATTEMPT)[2].splitlines()[1:]
    lines = [line.strip() for line in log if line.strip()]
    errors = [line.partition("error: ")[2] for line in lines if line.startswith("cell: error: ")]
    if exit_code < 0:
        memory = ", perhaps for want of memory" if exit_code == -9 else ""
        return f"killed by signal {-exit_code}{memory}"
    return errors[-1] if errors else (lines[-1] if lines else f"exit code {exit_code}")


def _gpus() -> list[str]:
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]


def _logged(command: list[str], folder: Path) -> str:
    return f"{shlex.join(command)} >> {shlex.quote(str(folder / LOG))} 2>&1"
