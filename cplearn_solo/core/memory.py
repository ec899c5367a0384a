"""How much memory a process has taken."""

from __future__ import annotations

import multiprocessing
import sys
from contextlib import suppress
from pathlib import Path


def memory_taken() -> int | None:
    """The most bytes that this process has held so far, and what its worker processes hold alone.

    ``None`` on systems that do not tell.
    """
    if sys.platform == "win32":
        return None
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return largest + sum(_held_alone(child.pid) for child in multiprocessing.active_children())


def _held_alone(pid: int | None) -> int:
    """Bytes of memory that a process shares with no other, as Linux tells; 0 elsewhere."""
    lines: list[str] = []
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Private"))
