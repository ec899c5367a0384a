"""Locks between processes, held by a file; they are freed when a process ends, however it ends.

On a file system without locks, such as some network drives, no process holds a lock.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from cplearn_solo.core.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}  # errors of such a file system


def try_lock(file: Path) -> FileLock | None:
    """The acquired lock of ``file``, or ``None`` if another process holds it."""
    try:
        return _acquired(file, timeout=0)
    except Timeout:
        return None


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """A block in which this process alone holds the lock of ``file``; waits for it."""
    lock = _acquired(file, timeout=-1)
    try:
        yield
    finally:
        lock.release()


def _acquired(file: Path, *, timeout: float) -> FileLock:
    lock = FileLock(file)
    try:
        lock.acquire(timeout=timeout)
    except OSError as error:
        if isinstance(error, Timeout) or error.errno not in NO_LOCKS:
            raise
    return lock


def is_held(file: Path) -> bool:
    """Whether a process holds the lock of ``file``, which may be read-only or of another user."""
    if fcntl is None:
        lock = try_lock(file)
        if lock:
            lock.release()
        return lock is None
    try:
        with file.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # nobody has made it, or the file system has no locks
        pass
    return False


@contextmanager
def locked_folder(folder: Path, *, key: str, work: str) -> Iterator[None]:
    """A block in which this process alone works in ``folder``, which is made if needed.

    Raises ``InputError`` that names ``key`` if the folder cannot be made, or if another process does ``work`` in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = try_lock(folder / ".lock")
    except OSError as error:
        raise InputError(f"{key} = {folder}: {error}") from error
    if lock is None:
        raise InputError(f"{key} = {folder}: locked by another process, which {work}")
    try:
        yield
    finally:
        lock.release()
