"""The folder of a grid's results: a line of JSON for each; lines are only added, never removed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cplearn_solo
from cplearn_solo.config.identity import LEARNING_VERSION, learning_version
from cplearn_solo.config.score_names import current_scores
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.files import write_file, write_json
from cplearn_solo.core.locks import locked_folder
from cplearn_solo.tables.identity import changes, identity, lacking
from cplearn_solo.tables.plan import Cell, Grid

FORMAT = 1  # of these files; raised if older programs could not read them
HEAD, CELLS = "grid.json", "cells.jsonl"
EVERY_LINE = ("column", "row", "seed", "identity", "config")
Record = dict[str, Any]  # the keys above, and either summary or failed: the reason


@dataclass(frozen=True)
class Found:
    """What a results folder has for a grid.

    ``stale``: cells that only have results of another configuration. ``note``: a warning about all results, or empty.
    """

    records: dict[Cell, Record]
    stale: list[tuple[Cell, Record]]
    note: str = ""


class Results:
    """Results of one grid in ``folder``, which is made when the first result is added.

    Raises ``InputError`` if the folder holds something else.
    """

    def __init__(self, grid: Grid) -> None:
        self.folder, self._head = grid.folder, _head(grid)
        self._records: list[Record] = []
        if (self.folder / HEAD).exists():
            theirs = _read(self.folder / HEAD)
            self._check(theirs)
            self._head = theirs
            self._records = _lines(self.folder / CELLS)
        elif self.folder.exists() and any(self.folder.iterdir()):
            raise self._error("is not empty and holds no grid")

    @property
    def _comparable(self) -> bool:
        """Whether the results have the learning version of this program."""
        return learning_version(self._head) == LEARNING_VERSION

    def find(self, cells: Iterable[Cell]) -> Found:
        """The newest result of each cell; results of a configuration that has changed since are separate.

        Configurations are first compared as written; only if they differ, by the keys that change scores.
        """
        records, stale, by_cell = {}, [], {}
        for record in self._records:
            by_cell.setdefault((record["column"], record["row"], record["seed"]), []).append(record)
        for cell in cells:
            of_cell = by_cell.get((cell.column, cell.row, cell.seed), [])
            current = [r for r in of_cell if r["config"] == cell.config and not lacking(cell, r)]
            if not current and self._comparable:
                current = [record for record in of_cell if _of_same_scores(record, cell)]
            if current:
                records[cell] = _with_current_scores(current[-1])
            elif of_cell:
                stale.append((cell, of_cell[-1]))
        note = f"Results of {self._writer}: this version learns something else from the same configurations."
        return Found(records, stale, "" if self._comparable else note)

    def require_comparable(self) -> None:
        """Raises ``InputError`` if results of two learning versions would mix."""
        if not self._comparable:
            raise self._error(
                f"holds results of {self._writer}, to which those of learning version {LEARNING_VERSION} are not added"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """A block in which results may be added. At its beginning the results are read again.

        Raises ``InputError`` if another process is adding results, and if two learning versions would mix.
        """
        self.require_comparable()
        with locked_folder(self.folder, key="results", work="fills it"):
            self._records = _lines(self.folder / CELLS)
            if not (self.folder / HEAD).exists():
                write_json(self.folder / HEAD, self._head)
            yield

    def add(self, record: Record) -> None:
        """Adds a result."""
        self._records.append(record)
        write_file(self.folder / CELLS, "".join(json.dumps(r) + "\n" for r in self._records))

    @property
    def _writer(self) -> str:
        version = learning_version(self._head)
        return f"learning version {version or 'unknown'} (cplearn-solo {self._head.get('cplearn-solo')})"

    def _check(self, theirs: Record) -> None:
        if theirs.get("format") != FORMAT:
            by = f"in format {theirs.get('format')!r} by cplearn-solo {theirs.get('cplearn-solo')}"
            raise self._error(f"written {by}, this version reads format {FORMAT}")
        for key in ("table", "scale"):
            if theirs.get(key) != self._head[key]:
                raise self._error(f"holds {key} {theirs.get(key)!r}, not {self._head[key]!r}")

    def _error(self, reason: str) -> InputError:
        return InputError(f"results = {self.folder}: {reason}; choose another folder with results=FOLDER")


def _head(grid: Grid) -> Record:
    return {
        "format": FORMAT,
        "learning_version": LEARNING_VERSION,
        "cplearn-solo": cplearn_solo.__version__,
        "table": grid.request.table,
        "scale": grid.request.scale,
    }


def _with_current_scores(record: Record) -> Record:
    return {**record, "summary": current_scores(record["summary"])} if "summary" in record else record


def _of_same_scores(record: Record, cell: Cell) -> bool:
    return record["identity"] == identity(cell) or not changes(cell, record)


def _read(path: Path) -> Record:
    with _damage_told(path):
        return _record(path.read_text())


def _lines(path: Path) -> list[Record]:
    with _damage_told(path):
        return [_record(line, EVERY_LINE) for line in path.read_text().splitlines()] if path.exists() else []


def _record(text: str, needed: Iterable[str] = ()) -> Record:
    """A record from JSON; raises ``ValueError`` if it is invalid or lacks a needed key."""
    record = json.loads(text)
    lacks = [key for key in needed if key not in record] if isinstance(record, dict) else ["keys"]
    if lacks:
        raise ValueError(f"{text[:40]} has no {', '.join(lacks)}")
    return record


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}") from error
