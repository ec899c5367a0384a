"""What makes two cells the same: everything in their configurations that changes their scores."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cplearn_solo.config.identity import LEARNING_VERSION, RELEASES, difference, identifying_in
from cplearn_solo.config.read import parse_config
from cplearn_solo.config.schema import Config, EvaluationConfig
from cplearn_solo.core.errors import InputError
from cplearn_solo.tables.plan import Cell


def checked(cell: Cell) -> Config:
    """The cell's checked configuration; ``InputError`` names the cell."""
    try:
        return parse_config(cell.config)
    except InputError as error:
        raise InputError(f"{cell.row}, {cell.column}: {error}") from error


def identity(cell: Cell, work: Path = Path()) -> str:
    """A hash of all that decides the cell's scores, 16 hexadecimal digits. Results contain it, and run folders below
    ``work`` are named by it."""
    config = checked(cell)
    kind = cell.row if cell.is_reference else "trained"
    missing = [f"without evaluation.{key}" for key, wanted in asdict(config.evaluation).items() if not wanted]
    lines = [kind, *identifying_in(config, work), *missing, *(f"measured: {name}" for name in cell.measures)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def changes(cell: Cell, record: dict[str, Any]) -> list[str]:
    """Keys for which the cell would now have other scores than in an earlier ``record`` of it, a line each."""
    config, earlier = checked(cell), record["config"]
    now = asdict(config.evaluation)
    then = {**asdict(EvaluationConfig()), **(earlier.get("evaluation") or {})}
    measured = [f"evaluation.{key}: {then[key]!r} there, {now[key]!r} here" for key in now if now[key] != then[key]]
    return [
        *difference(config.plain(), earlier),
        *measured,
        *(f"{name}: not measured there" for name in lacking(cell, record)),
    ]


def lacking(cell: Cell, record: dict[str, Any]) -> list[str]:
    """Measures of the cell's table that the ``record`` lacks."""
    return [name for name in cell.measures if name not in record.get("measures", ())]


def cell_folder(work: Path, identity: str) -> Path:
    """The folder below ``work`` in which cells of that identity run.

    An existing folder of an earlier release is used if that release has the same learning version.
    """
    releases = [work / release / identity for release, version in RELEASES.items() if version == LEARNING_VERSION]
    return next((path for path in releases if path.exists()), work / str(LEARNING_VERSION) / identity)
