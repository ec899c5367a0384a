"""What makes two cells the same: everything in their configurations that changes what is learned."""

from __future__ import annotations

import hashlib
from dataclasses import asdict

from cplearn_solo.config.identity import identifying
from cplearn_solo.config.read import parse_config
from cplearn_solo.config.schema import Config
from cplearn_solo.core.errors import InputError
from cplearn_solo.tables.plan import FLOORS, Cell


def checked(cell: Cell) -> Config:
    """The cell's checked configuration; ``InputError`` names the cell."""
    try:
        return parse_config(cell.config)
    except InputError as error:
        raise InputError(f"{cell.row}, {cell.column}: {error}") from error


def identity(cell: Cell) -> str:
    """A hash of what decides the cell's scores, 16 hexadecimal digits."""
    config = checked(cell)
    kind = cell.row if cell.row in FLOORS else "trained"
    missing = [f"without evaluation.{key}" for key, wanted in asdict(config.evaluation).items() if not wanted]
    lines = [kind, *identifying(config.plain()), *missing]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
