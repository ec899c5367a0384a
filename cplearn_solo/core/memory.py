"""How much memory there is for a process, and how much it has taken."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

OF_PROCESS, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def memory_there() -> int:
    """Bytes of the machine, or what a container or a batch system leaves this process of them."""
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_limits()])


def memory_taken() -> int | None:
    """The most bytes that this process has held so far, and what its worker processes hold alone.

    ``None`` on systems that do not tell.
    """
    if sys.platform == "win32":
        return None
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return largest + sum(held_alone(child.pid) for child in multiprocessing.active_children())


def held_alone(pid: int | None) -> int:
    """Bytes of memory that a process shares with no other, as Linux tells; 0 elsewhere."""
    lines: list[str] = []
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Private"))


def _limits() -> Iterator[int]:
    """Of the process's control group and those around it, in both versions that Linux has."""
    with suppress(OSError):
        for line in OF_PROCESS.read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if kinds not in ("", "memory"):
                continue
            root, name = (GROUPS / "memory", "memory.limit_in_bytes") if kinds else (GROUPS, "memory.max")
            group = root / path.strip("/")  # a container may see its own as the root alone
            for folder in (group, *group.parents):
                with suppress(OSError, ValueError):  # there is none, or it says max
                    yield int((folder / name).read_text())
                if folder == root:
                    break
