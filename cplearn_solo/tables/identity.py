"""What makes two cells the same: everything in their configurations that changes what is learned."""

from __future__ import annotations

import hashlib
from dataclasses import asdict

from cplearn_solo.config import Config, parse_config
from cplearn_solo.difference import difference
from cplearn_solo.registry import InputError
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
    # where it differs from an empty configuration: what a resumed run must agree on, and nothing else
    lines = [kind, *difference(config.plain(), {}), *missing]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
