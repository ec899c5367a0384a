"""What is said where one of the processes that train together is lost."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lightning import Trainer

from cplearn_solo.core.errors import InputError
from cplearn_solo.core.processes import is_first

# What gloo and NCCL say to those that are left.
LEFT = re.compile(r"connection (was )?(closed|reset)|broken pipe|remote process exited|ncclRemoteError", re.IGNORECASE)
SECONDS = 2.0  # in which the operating system tells of a child that has ended


@contextmanager
def lost_processes_told(trainer: Trainer) -> Iterator[None]:
    """A process that dies while training goes on is an ``InputError`` of the first one; the others end without a word.

    Whatever ends the first process ends those that it has started.
    """
    try:
        yield
    except BaseException as error:
        launcher = trainer.strategy.launcher
        started = getattr(launcher, "procs", [])
        left = isinstance(error, RuntimeError) and LEFT.search(str(error))
        lost = _first_lost(started) if left else None
        if started:
            launcher.kill(getattr(signal, "SIGKILL", signal.SIGTERM))
        if lost:
            raise InputError(f"devices = {trainer.num_devices}: {lost}") from error
        if left and not is_first():
            raise SystemExit(1) from error
        raise


def _first_lost(processes: list) -> str | None:
    """How the first of ``processes`` that has failed did so."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for index, process in enumerate(processes, start=1):
            if code := process.poll():
                how = f"was killed by signal {-code}, perhaps for want of memory" if code < 0 else f"ended with {code}"
                return f"process {index} of the training {how}"
        time.sleep(0.05)
    return None
