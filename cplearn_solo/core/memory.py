"""How much memory a process may use, and how much it has used."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

OF_PROCESS, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def memory_there() -> int:
    """Bytes of memory of the machine, or fewer if a container or a batch system limits this process."""
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_limits()])


def memory_taken() -> int | None:
    """Peak bytes of this process so far, plus the bytes that its worker processes do not share with it.

    ``None`` on Windows.
    """
    if sys.platform == "win32":
        return None
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return largest + sum(held_alone(child.pid) for child in multiprocessing.active_children())


def held_alone(pid: int | None) -> int:
    """Bytes of memory that a process shares with no other, on Linux; 0 on other systems."""
    lines: list[str] = []
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Private"))


def _limits() -> Iterator[int]:
    """Memory limits of the process's control group and its parents, in both versions of Linux's control groups."""
    with suppress(OSError):
        for line in OF_PROCESS.read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if kinds not in ("", "memory"):
                continue
            root, name = (GROUPS / "memory", "memory.limit_in_bytes") if kinds else (GROUPS, "memory.max")
            group = root / path.strip("/")  # a container may see its own group as the root only
            for folder in (group, *group.parents):
                with suppress(OSError, ValueError):  # no such file, or it says max
                    yield int((folder / name).read_text())
                if folder == root:
                    break
