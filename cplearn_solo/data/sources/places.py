"""From the value of ``data.train_path`` to the files and folders that it means."""

from __future__ import annotations

import os
import re
from glob import glob
from itertools import product
from pathlib import Path
from typing import Any

from cplearn_solo.core.errors import require

PATHS = ("train_path", "val_path")  # under data:
RANGE = re.compile(r"(\d+)\.\.(\d+)")


def places(value: str | list[str] | None, key: str) -> list[Path]:
    """The files and folders that ``value`` of ``key`` means, in order.

    A list of paths, ``name-{0000..0012}.tar``, ``{a,b}`` and globs mean several, ``~`` the user's folder. Raises
    ``InputError`` for a path that does not exist.
    """
    found: list[Path] = []
    for text in value if isinstance(value, list) else [value]:
        for path in _alternatives(os.path.expanduser(text)) if text else []:
            matches = [path] if os.path.exists(path) else sorted(glob(path, recursive=True))
            require(len(matches) > 0, key, path, "a file or folder that exists")
            found += map(Path, matches)
    require(len(found) > 0, key, value, "a file or folder that exists")
    return found


def with_absolute_paths(plain: dict[str, Any]) -> dict[str, Any]:
    """A plain configuration, complete or in part, whose data has :func:`absolute` paths.

    >>> with_absolute_paths({"data": {"train_path": "/data/../images"}})
    {'data': {'train_path': '/images'}}
    """
    data = plain.get("data")
    if not isinstance(data, dict) or data.get("dataset") == "hub":
        return plain
    return {**plain, "data": {key: absolute(value) if key in PATHS else value for key, value in data.items()}}


def absolute(value: str | list[str] | None) -> str | list[str] | None:
    """The same paths from the root of the file system, with ``~`` expanded."""
    if isinstance(value, list):
        return [os.path.abspath(os.path.expanduser(path)) for path in value]
    return os.path.abspath(os.path.expanduser(value)) if value else value


def _alternatives(text: str) -> list[str]:
    """``a{0..2}`` as a0, a1, a2; a path that exists as it is written is only itself."""
    if os.path.exists(text):
        return [text]
    pieces = [_choices(piece) for piece in re.split(r"(\{[^{}]*\})", text)]
    return ["".join(chosen) for chosen in product(*pieces)]


def _choices(piece: str) -> list[str]:
    inner = piece[1:-1]
    if piece.startswith("{") and (ends := RANGE.fullmatch(inner)):
        first, last = ends.groups()
        return [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
    return inner.split(",") if piece.startswith("{") and "," in inner else [piece]
