"""Files that are there whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cplearn_solo.core.errors import InputError, NotWritten

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot take the place of another
    fcntl = None  # type: ignore[assignment]

PARTIAL = ".{}.partial"  # what a file is called while it is written

# What disks and file systems say, not what is wrong with a program; the first of a drive of a network that is lost.
_LOST = "ENOTCONN EHOSTDOWN EHOSTUNREACH ENETDOWN ENETUNREACH ENODEV ESTALE ETIMEDOUT"
_NAMES = "ENOSPC EDQUOT EFBIG EROFS EACCES EPERM EIO ENOENT ENOTDIR ENAMETOOLONG"
DRIVE_LOST, _OTHERS = ({getattr(errno, n) for n in names.split() if hasattr(errno, n)} for names in (_LOST, _NAMES))
FULL_OR_GONE = DRIVE_LOST | _OTHERS


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it becomes ``path`` when the block ends, and goes if the block fails.

    Raises ``NotWritten`` where the disk is full, the folder read-only or gone, or another process is writing the file.
    """
    partial = path.with_name(PARTIAL.format(path.name))
    with _held(partial, path):
        try:
            with written(path):
                yield partial
                os.replace(partial, path)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise


@contextmanager
def _held(partial: Path, path: Path) -> Iterator[None]:
    """A block in which no other process writes ``partial``, which becomes ``path``, where the system has such locks."""
    if fcntl is None:
        yield
        return
    with written(path):
        held = _locked(partial)
    if held is None:
        raise NotWritten(f"{path}: could not be written: another process is writing it")
    try:
        yield
    finally:
        os.close(held)


def _locked(partial: Path) -> int | None:
    """The file as a lock that ends with this process, or ``None`` where another one holds it."""
    while True:
        held = os.open(partial, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            return None
        except OSError:  # a file system without locks
            return held
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(held), os.stat(partial)):
                return held
        os.close(held)  # another process has put it in its place meanwhile


@contextmanager
def written(path: Path) -> Iterator[None]:
    """A block that writes ``path``, file or folder; raises ``NotWritten`` where the file system does not let it."""
    try:
        yield
    except Exception as error:
        if reason := why_not_written(error):
            raise NotWritten(f"{path}: could not be written: {reason}") from error
        raise


def why_not_written(error: Exception) -> str:
    """What the file system said, if it refused to write, maybe to a library that has made another error of it."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, InputError):
        number = getattr(cause, "errno", 0)
        if said := re.search(r"\(os error (\d+)\)", str(cause)):  # Rust, as in safetensors
            number = int(said[1])
        if number in FULL_OR_GONE:
            return os.strerror(number)
        cause = cause.__cause__ or cause.__context__
    return ""


def clear_partial(folder: Path) -> None:
    """Removes what killed processes had half written in ``folder`` and below it."""
    for file in folder.rglob(PARTIAL.format("*")):
        with suppress(OSError):
            file.unlink()


def folder_of_now(root: Path) -> Path:
    """Makes a folder in ``root`` that is called after the time, with a number where there is one already."""
    stamp, attempt = time.strftime("%Y%m%d-%H%M%S"), 1
    while True:
        path = root / (stamp if attempt == 1 else f"{stamp}-{attempt}")
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            attempt += 1


def write_file(path: Path, content: str | bytes) -> Path:
    """Writes ``content``, text as UTF-8, and returns ``path``."""
    with whole_file(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_json(path: Path, values: Any, *, indent: int | None = 2) -> Path:
    """Writes ``values`` as JSON and returns ``path``."""
    return write_file(path, json.dumps(values, indent=indent) + "\n")


def write_csv(path: Path, rows: Iterable[Sequence[Any]]) -> Path:
    """Writes ``rows`` as CSV in UTF-8, names of files in any letters among them, and returns ``path``."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return write_file(path, text.getvalue().encode(errors="backslashreplace"))


def append_line(path: Path, line: str) -> Path:
    """Adds ``line`` to ``path`` whole or not at all, and returns ``path``."""
    with written(path), open(path, "ab", buffering=0) as file:
        before, left = file.tell(), line.encode() + b"\n"
        try:
            while left:
                left = left[file.write(left) :]
        except BaseException:
            os.truncate(path, before)
            raise
    return path
