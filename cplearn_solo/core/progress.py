"""How far a program is: a bar in a terminal, lines in a log, and never more than half a minute of silence."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")

SILENCE = 30.0  # seconds between lines
SHORT = 5.0  # seconds of work before a bar is shown


def say(line: str) -> None:
    """Prints ``line``, above the progress bar if there is one."""
    tqdm.write(line)
    sys.stdout.flush()


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> [duration(seconds) for seconds in (0.4, 50, 300, 9000, 200_000)]
    ['0 s', '50 s', '5 min', '2.5 h', '2.3 days']
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


@contextmanager
def patience(title: str) -> Iterator[Callable[[str], None]]:
    """In this block, a line is printed every 30 s with the time taken so far, which begins with ``title`` or the last
    text that the function was called with that it yields."""
    ended, began = Event(), time.perf_counter()

    def tell() -> None:
        while not ended.wait(SILENCE):
            say(f"{title}: {duration(time.perf_counter() - began)} so far")

    def call(text: str) -> None:
        nonlocal title
        title = text

    thread = Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield call
    finally:
        ended.set()
        thread.join()


def told() -> Callable[[str, int, int], None]:
    """A function of a step's name, how much of it is done, and the total, which prints a line to stderr every 30 s."""
    began = last = time.perf_counter()
    step, first = "", 0  # the current step, and how much of it was done at its first call

    def tell(name: str, done: int, total: int) -> None:
        nonlocal began, last, step, first
        now = time.perf_counter()
        if name != step:
            began, step, first = now, name, done
        if now - last > SILENCE:
            left = f", {duration((now - began) / (done - first) * (total - done))} left" if done > first else ""
            print(f"{name}: {done}/{total}{left}", file=sys.stderr, flush=True)
            last = now

    return tell


@contextmanager
def shown(title: str) -> Iterator[Callable[[int, int], None]]:
    """A function of steps done and steps in all, which moves a bar: in a terminal, once 5 s have passed."""
    with tqdm(desc=title, delay=SHORT, leave=False, dynamic_ncols=True, disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


def tracked(steps: Iterable[T], title: str, *, total: int) -> Iterator[T]:
    """``steps``, with a bar after 5 s in a terminal, and elsewhere a line every 30 s."""
    if sys.stderr.isatty():
        yield from tqdm(steps, title, total, leave=False, delay=SHORT, dynamic_ncols=True)
        return
    began = told = time.perf_counter()
    for done, step in enumerate(steps, start=1):
        yield step
        now = time.perf_counter()
        if now - told > SILENCE:
            say(f"{title}: {done}/{total}, {duration((now - began) / done * (total - done))} left")
            told = now
