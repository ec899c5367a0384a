"""The folder that a grid's results are kept in: one line of JSON a result, added to and never taken from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import cplearn_solo
from cplearn_solo.core.errors import InputError
from cplearn_solo.tables.plan import Cell, Grid

FORMAT = 1  # of these files; raised whenever an older program could not read them
Record = dict[str, Any]  # column, row, seed, identity, config, and either summary or failed: the reason


@dataclass(frozen=True)
class Found:
    """What a results folder has for a grid. ``stale``: cells with results of another configuration only."""

    records: dict[Cell, Record]
    stale: list[tuple[Cell, Record]]


class Results:
    """Results of one grid in ``folder``, which is made when the first is added.

    Raises ``InputError`` where the folder holds something else or was written by another version.
    """

    def __init__(self, grid: Grid) -> None:
        self.folder, self._head = grid.folder, _head(grid)
        self._records: list[Record] = []
        self.version = self._head["cplearn-solo"]
        if self._file("grid.json").exists():
            head = _read(self._file("grid.json"))
            self._check(head)
            self.version = head["cplearn-solo"]
            self._records = _lines(self._file("cells.jsonl"))
        elif self.folder.exists() and any(self.folder.iterdir()):
            raise self._error("is not empty and holds no grid")

    def find(self, cells: Iterable[Cell]) -> Found:
        """The newest result of each cell, told apart from results of a configuration that has changed since.

        Configurations are compared as written first; only where they differ is it asked whether that matters.
        """
        records, stale, by_cell = {}, [], {}
        for record in self._records:
            by_cell.setdefault((record["column"], record["row"], record["seed"]), []).append(record)
        for cell in cells:
            same = by_cell.get((cell.column, cell.row, cell.seed), [])
            current = [r for r in same if r["config"] == cell.config and self.version == self._head["cplearn-solo"]]
            current = current or _of_identity(same, cell)
            if current:
                records[cell] = current[-1]
            elif same:
                stale.append((cell, same[-1]))
        return Found(records, stale)

    def lock(self) -> FileLock:
        """The folder's lock, held, and its results as they are then.

        Raises ``InputError`` while another process fills it and where results of two versions would mix.
        """
        if self.version != self._head["cplearn-solo"]:
            raise self._error(
                f"written by cplearn-solo {self.version}, this is {self._head['cplearn-solo']}, and results of two "
                "versions do not mix"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._file(".lock"))
            lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(f"results = {self.folder}: another process is filling it") from error
        except OSError as error:
            raise InputError(f"results = {self.folder}: {error}") from error
        self._records = _lines(self._file("cells.jsonl"))
        if not self._file("grid.json").exists():
            self.write("grid.json", json.dumps(self._head, indent=2) + "\n")
        return lock

    def add(self, record: Record) -> None:
        """Adds a result; the file is there whole, with or without it, whatever happens."""
        self._records.append(record)
        self.write("cells.jsonl", "".join(json.dumps(r) + "\n" for r in self._records))

    def write(self, name: str, content: str | bytes) -> Path:
        """Writes a file of the folder, whole or not at all."""
        partial = self._file(f".{name}.partial")
        partial.write_bytes(content if isinstance(content, bytes) else content.encode())
        return partial.replace(self._file(name))

    def _check(self, head: Record) -> None:
        if head.get("format") != FORMAT:
            theirs = f"in format {head.get('format')!r} by cplearn-solo {head.get('cplearn-solo')}"
            raise self._error(f"written {theirs}, this version reads format {FORMAT}")
        for key in ("table", "scale"):
            if head[key] != self._head[key]:
                raise self._error(f"holds {key} {head[key]!r}, not {self._head[key]!r}")

    def _error(self, reason: str) -> InputError:
        return InputError(f"results = {self.folder}: {reason}; choose another folder with results=FOLDER")

    def _file(self, name: str) -> Path:
        return self.folder / name


def _head(grid: Grid) -> Record:
    return {
        "format": FORMAT,
        "cplearn-solo": cplearn_solo.__version__,
        "table": grid.request.table,
        "scale": grid.request.scale,
    }


def _of_identity(records: list[Record], cell: Cell) -> list[Record]:
    if not records:
        return []
    from cplearn_solo.tables.identity import identity  # waits for a trainer

    return [r for r in records if r["identity"] == identity(cell)]


def _read(path: Path) -> Record:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}") from error


def _lines(path: Path) -> list[Record]:
    try:
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}") from error
