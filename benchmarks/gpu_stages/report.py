"""The results of a call so far in ``gpu.json`` and, as text, ``gpu.txt``; both are written whole after each row."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Report:
    """The part of one stage, which replaces that of an earlier call."""

    def __init__(self, folder: Path, stage: str) -> None:
        self.folder, self.stage = folder, stage
        self._write({"ended": "running", "rows": [], "lines": []})

    def add(self, **row: Any) -> None:
        """Adds a row of the stage's table."""
        self._write({**self._mine(), "rows": [*self._mine()["rows"], row]})

    def say(self, *lines: str) -> None:
        """Adds lines below the table."""
        self._write({**self._mine(), "lines": [*self._mine()["lines"], *lines]})

    def _mine(self) -> Row:
        return read(self.folder)[self.stage]

    def _write(self, part: Row) -> None:
        write(self.folder, {**read(self.folder), self.stage: part})


def read(folder: Path) -> dict[str, Row]:
    """Stages by name, each with ``rows``, ``lines`` and ``ended``, the way in which it ended."""
    path = folder / "gpu.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write(folder: Path, stages: dict[str, Row]) -> None:
    """Writes each of the two files whole or not at all."""
    for name, text in (("gpu.json", json.dumps(stages, indent=1) + "\n"), ("gpu.txt", as_text(stages))):
        partial = folder / f".{name}.partial"
        partial.write_text(text)
        partial.replace(folder / name)


def as_text(stages: dict[str, Row]) -> str:
    """The stages as text: tables below each other."""
    parts = []
    for name, stage in stages.items():
        title = f"{name}: {stage['ended']}"
        parts += ["", title, "-" * len(title), *_table(stage["rows"]), *stage["lines"]]
    return "\n".join(parts[1:]) + "\n"


def _table(rows: list[Row]) -> Iterable[str]:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns, *([_cell(row.get(key)) for key in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    numbers = [any(isinstance(row.get(key), (int, float)) for row in rows) for key in columns]
    for line in cells if rows else ():
        fitted = (t.rjust(w) if number else t.ljust(w) for t, w, number in zip(line, widths, numbers))
        yield "  ".join(fitted).rstrip()


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "" if value is None else str(value)
