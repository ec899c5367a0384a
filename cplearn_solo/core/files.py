"""Files that are there whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it becomes ``path`` when the block ends, and goes if the block fails."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_file(path: Path, content: str | bytes) -> Path:
    """Writes ``content``, text as UTF-8, and returns ``path``."""
    with whole_file(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_json(path: Path, values: Any, *, indent: int | None = 2) -> Path:
    """Writes ``values`` as JSON and returns ``path``."""
    return write_file(path, json.dumps(values, indent=indent) + "\n")
