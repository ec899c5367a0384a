"""Starts the processes of jobs, on this machine or through SLURM."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, Protocol

from cplearn_solo.core.cores import cores
from cplearn_solo.core.errors import InputError, require, require_known
from cplearn_solo.core.memory import memory_there
from cplearn_solo.jobs.job import Job, Process
from cplearn_solo.jobs.worker import work

PATIENCE = 10.0  # seconds that a stopped job has to end its own processes
MEMORY_A_JOB = 4 * 2**30  # bytes; more than any shipped configuration needs, including libraries


class Launcher(Protocol):
    """Starts jobs, ``workers`` at a time."""

    workers: int

    def start(self, job: Job, slot: int) -> Process:
        """Starts ``job``, whose files are in its folder already, in the place ``slot``, 0 to ``workers`` - 1."""


def make_launcher(
    name: str,
    workers: int | None,
    *,
    devices: Any = 1,
    use_gpus: bool = True,
    preload: Sequence[str] = (),
    folder: Path = Path("runs"),
    slurm: dict[str, Any] | None = None,
) -> Launcher:
    """The launcher ``name``, ``"local"`` or ``"slurm"``, with ``workers`` jobs at a time, by default as many as fit.

    For ``"local"``: ``devices`` (GPUs of each job), ``use_gpus`` and ``preload`` (modules that jobs import). For
    ``"slurm"``: ``folder`` (of its logs) and ``slurm`` (submitit's parameters). Raises ``InputError`` if it is invalid.
    """
    check_launcher(name, workers)
    if name == "slurm":
        return Slurm(workers, folder=folder, parameters=slurm or {})
    return Local(workers, devices=devices, use_gpus=use_gpus, preload=preload)


def check_launcher(name: str, workers: int | None, slurm: Mapping[str, Any] | None = None) -> None:
    """Raises ``InputError`` for names and numbers that :func:`make_launcher` does not accept, and for parameters of
    ``slurm`` that would do nothing."""
    require_known("launcher", name, ("local", "slurm"))
    require(not slurm or name == "slurm", "slurm", slurm, f"absent with launcher={name}")
    require(workers is None or workers >= 1, "workers", workers, "at least 1")


class LocalProcess:
    """A child process."""

    def __init__(self, process: Any) -> None:
        self._process = process
        process.start()

    def done(self) -> bool:
        return not self._process.is_alive()

    def exit_code(self) -> int:
        return self._process.exitcode

    def stop(self) -> None:
        self._process.terminate()

    def end(self) -> None:
        self._process.join(PATIENCE)
        self._process.kill()
        self._process.join()


class Local:
    """Processes on this machine, which share its cores evenly; each gets ``devices`` of its GPUs, in turn.

    They are forked from one process that has imported ``preload``, which saves some seconds each.
    """

    def __init__(self, workers: int | None, *, devices: Any, use_gpus: bool, preload: Sequence[str]) -> None:
        self._gpus = _groups(_gpus(), devices) if use_gpus else []
        there = cores()
        self.workers = workers or max(1, min(len(self._gpus) or there, memory_there() // MEMORY_A_JOB))
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([work.__module__, *preload])
        each = str(max(1, there // self.workers))
        # OpenMP reads its variable when it is loaded; by the other one, a job counts the cores that it may use
        with _environment(OMP_NUM_THREADS=os.environ.get("OMP_NUM_THREADS", each), LOKY_MAX_CPU_COUNT=each):
            forkserver.ensure_running()

    def start(self, job: Job, slot: int) -> LocalProcess:
        gpu = {"CUDA_VISIBLE_DEVICES": self._gpus[slot % len(self._gpus)]} if self._gpus else {}
        return LocalProcess(self._context.Process(target=work, args=(job.program, str(job.folder), gpu)))


class SlurmProcess:
    """A job that submitit has submitted; it continues if this process ends."""

    def __init__(self, submitted: Any) -> None:
        self._submitted = submitted

    def done(self) -> bool:
        return self._submitted.done()

    def exit_code(self) -> int:
        return 0 if self._submitted.exception() is None else 1

    def stop(self) -> None:
        self._submitted.cancel()

    def end(self) -> None:
        """Does nothing: SLURM ends the job."""


class Slurm:
    """SLURM by submitit with its ``parameters``; ``workers`` jobs at a time, 1,000 by default."""

    def __init__(self, workers: int | None, *, folder: Path, parameters: dict[str, Any]) -> None:
        try:
            import submitit
        except ModuleNotFoundError as error:
            raise InputError(
                "launcher = 'slurm': needs submitit, which is not installed: pip install 'cplearn-solo[slurm]'"
            ) from error
        self.workers = workers or 1000
        cluster = parameters.get("cluster", "slurm")
        own = {key: value for key, value in parameters.items() if key != "cluster"}
        try:
            self._executor = submitit.AutoExecutor(folder=folder / "slurm", cluster=cluster)
            self._executor.update_parameters(**own)
        except (RuntimeError, NameError, TypeError, ValueError) as error:
            raise InputError(f"launcher = 'slurm': {' '.join(str(error).split())}") from error

    def start(self, job: Job, slot: int) -> SlurmProcess:
        return SlurmProcess(self._executor.submit(_Continuing(), job.program, str(job.folder), {}))


class _Continuing:
    """``work``, which submitit submits again if SLURM's time limit ends it, because it then resumes."""

    def __call__(self, *arguments: Any) -> None:
        work(*arguments)

    def checkpoint(self, *arguments: Any) -> Any:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, *arguments)


def _gpus() -> list[str]:
    import torch

    there, visible = torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[:there] if visible else [str(i) for i in range(there)]  # -1 hides itself and all after it


def _groups(gpus: list[str], devices: Any) -> list[str]:
    """For each job that fits at a time, its GPUs as a value of ``CUDA_VISIBLE_DEVICES``."""
    if not gpus:
        return []
    size = int(devices) if str(devices).isdecimal() else len(gpus)  # that number, or all if Lightning chooses
    require(1 <= size <= len(gpus), "devices", devices, f"from 1 to {len(gpus)}, the GPUs of this machine")
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
