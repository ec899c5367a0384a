"""Signals that ask a program to end: Ctrl+C, SIGTERM of batch systems and containers, and SLURM's before its limit.

Each raises ``KeyboardInterrupt``, whose text, if any, says how to go on. Work that will soon reach a better place to
end may ask for time to reach it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SLURMS = getattr(signal, "SIGUSR1", None)  # absent on Windows
# Seconds within which a program should end: containers are killed after 10, and at Ctrl+C a person waits.
PATIENCE = {signal.SIGINT: 5.0, signal.SIGTERM: 6.0, **({SLURMS: 60.0} if SLURMS else {})}
REPEAT = 1.0  # seconds in which the same request may arrive twice, as from timeout(1)

Postpone = Callable[[float], bool]  # whether the work will end by itself within this many seconds

_ours: list[signal.Signals] = []  # signals that are handled here
_asked: signal.Signals | None = None
_asked_at = 0.0
_postpone: Postpone | None = None


@contextmanager
def stops() -> Iterator[None]:
    """In this block, the signals ask the program to end; afterwards, their handlers are restored.

    A signal that is ignored, as by nohup, or has another handler is left unchanged, and so is SIGUSR1 outside of SLURM.
    """
    global _asked
    if _ours or threading.current_thread() is not threading.main_thread():
        yield
        return
    possible = [number for number in PATIENCE if number != SLURMS or "SLURM_JOB_ID" in os.environ]
    before = {number: signal.getsignal(number) for number in possible}
    _ours[:] = [n for n, how in before.items() if how in (signal.SIG_DFL, signal.default_int_handler)]
    _handle()
    hook, sys.unraisablehook = sys.unraisablehook, _ask_again
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number in _ours:
            signal.signal(number, before[number])
        _ours.clear()
        _asked = None


def asked() -> signal.Signals | None:
    """The signal that has asked this program to end, if one has."""
    return _asked


def postpone(decide: Postpone | None) -> None:
    """From now on, ``decide`` may leave it to the current work to end by itself, but not if the request is repeated.

    Replaces handlers that a trainer has set instead of ours.
    """
    global _postpone
    _postpone = decide
    _handle()


@contextmanager
def at_stop(text: str) -> Iterator[None]:
    """In this block, a request to end raises ``KeyboardInterrupt`` with ``text``."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(text) from None


@contextmanager
def held_back() -> Iterator[None]:
    """In this block, the signals wait. Processes that are started in it never receive them; only this program does."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, PATIENCE)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def requeue() -> None:
    """Asks SLURM to start this job again, which is the purpose of its signal before the time limit."""
    job, task = os.environ["SLURM_JOB_ID"], os.environ.get("SLURM_ARRAY_TASK_ID")
    name = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{task}" if task else job
    subprocess.run(["scontrol", "requeue", name], check=False)


def _handle() -> None:
    for number in _ours:
        signal.signal(number, _ask)


def _ask_again(lost: sys.UnraisableHookArgs) -> None:
    """Repeats a request soon after, if it came where Python drops exceptions, as in a destructor or at a fork.

    Other dropped exceptions that follow from a request, or from the death of a DataLoader's worker, are not printed:
    they are reported elsewhere.
    """
    global _asked_at
    if not isinstance(lost.exc_value, KeyboardInterrupt) or _asked is None:
        if _asked is None and "DataLoader" not in str(lost.exc_value):
            sys.__unraisablehook__(lost)
        return
    _asked_at = -REPEAT
    threading.Timer(0.01, os.kill, (os.getpid(), _asked)).start()


def _ask(number: int, frame: FrameType | None) -> None:
    global _asked, _asked_at
    now, repeated = time.monotonic(), _asked is not None
    if repeated and now - _asked_at < REPEAT:
        return
    _asked, _asked_at = _asked or signal.Signals(number), now
    if repeated or _postpone is None or not _postpone(PATIENCE[_asked]):
        raise KeyboardInterrupt
