"""Writes files whole or not at all, whatever happens meanwhile."""

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

PARTIAL = ".{}.partial"  # the name of a file while it is written

# Errors of disks and file systems, not of the program; the first list is of network drives that are lost.
_LOST = "ENOTCONN EHOSTDOWN EHOSTUNREACH ENETDOWN ENETUNREACH ENODEV ESTALE ETIMEDOUT"
_NAMES = "ENOSPC EDQUOT EFBIG EROFS EACCES EPERM EIO ENOENT ENOTDIR ENAMETOOLONG"
DRIVE_LOST, _OTHERS = ({getattr(errno, n) for n in names.split() if hasattr(errno, n)} for names in (_LOST, _NAMES))
FULL_OR_GONE = DRIVE_LOST | _OTHERS


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; renamed to ``path`` when the block ends, removed if the block fails.

    Raises ``NotWritten`` if the disk is full, the folder read-only or gone, or another process is writing the file.
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
    """A block in which no other process writes ``partial``, the later ``path``, if the system has such locks."""
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
    """A descriptor of the file, locked until this process ends; ``None`` if another process holds the lock."""
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
        os.close(held)  # another process has renamed it meanwhile


@contextmanager
def written(path: Path) -> Iterator[None]:
    """A block that writes ``path``, file or folder; raises ``NotWritten`` if the file system refuses."""
    try:
        yield
    except Exception as error:
        if reason := why_not_written(error):
            raise NotWritten(f"{path}: could not be written: {reason}") from error
        raise


def why_not_written(error: Exception) -> str:
    """Why the file system refused to write, also if a library raised another error for it; else empty."""
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
    """Removes half-written files of killed processes in ``folder`` and below it."""
    for file in folder.rglob(PARTIAL.format("*")):
        with suppress(OSError):
            file.unlink()


def folders_below(top: Path) -> Iterator[tuple[Path, list[str]]]:
    """``top`` and every folder below it, with its files: each folder once, those that only links lead to at last."""
    seen, tops = set(), [str(top)]
    while tops:
        links = []
        for path, folders, files in os.walk(tops.pop(0)):
            folders.sort()
            try:
                here = os.stat(path)
            except OSError:  # deleted since it was listed
                continue
            if (here.st_dev, here.st_ino) in seen:
                folders.clear()
                continue
            seen.add((here.st_dev, here.st_ino))
            links += [link for link in (os.path.join(path, name) for name in folders) if os.path.islink(link)]
            yield Path(path), files
        tops += links


def folder_of_now(root: Path) -> Path:
    """Makes a folder in ``root`` that is named by the time, with a number if that name is taken; returns its path."""
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
    """Writes ``rows`` as CSV in UTF-8, also names of files that are not valid text, and returns ``path``."""
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
