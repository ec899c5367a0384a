"""Locks between processes, held by a file; they are freed when a process ends, however it ends."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout


def try_lock(file: Path) -> FileLock | None:
    """The lock of ``file``, held, or ``None`` where another process holds it."""
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock
