"""Errors if one of the processes that train together is lost."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lightning import Trainer

from cplearn_solo.core.errors import InputError
from cplearn_solo.core.processes import is_first

# Messages of gloo and NCCL to the processes that are left.
LEFT = re.compile(r"connection (was )?(closed|reset)|broken pipe|remote process exited|ncclRemoteError", re.IGNORECASE)
SECONDS = 2.0  # in which the operating system reports that a child has ended


@contextmanager
def lost_processes_told(trainer: Trainer) -> Iterator[None]:
    """If a process dies during training, the first one raises ``InputError``; the others end without a message.

    Whatever ends the first process also ends the processes that it has started.
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
    """How the first failed process of ``processes`` ended; ``None`` if none has failed."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for index, process in enumerate(processes, start=1):
            if code := process.poll():
                how = f"was killed by signal {-code}, perhaps for want of memory" if code < 0 else f"ended with {code}"
                return f"process {index} of the training {how}"
        time.sleep(0.05)
    return None
