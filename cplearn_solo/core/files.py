"""Files that are there whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cplearn_solo.core.errors import InputError, NotWritten

PARTIAL = ".{}.partial"  # what a file is called while it is written

# What disks and file systems say, not what is wrong with a program.
FULL_OR_GONE = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "EIO", "ENOENT", "ENOTDIR", "ESTALE")
    if hasattr(errno, name)
}


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it becomes ``path`` when the block ends, and goes if the block fails.

    Raises ``NotWritten`` where the disk is full, or the folder read-only or gone.
    """
    partial = path.with_name(PARTIAL.format(path.name))
    try:
        with written(path):
            yield partial
            os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


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
        number = getattr(cause, "errno", None)
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


def write_file(path: Path, content: str | bytes) -> Path:
    """Writes ``content``, text as UTF-8, and returns ``path``."""
    with whole_file(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_json(path: Path, values: Any, *, indent: int | None = 2) -> Path:
    """Writes ``values`` as JSON and returns ``path``."""
    return write_file(path, json.dumps(values, indent=indent) + "\n")


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
