"""Runs one cell of a table in its own process; the same file, run as a script, serves the cell's other devices."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from cplearn_solo.cli.tasks import pretrain_task
from cplearn_solo.core.user_errors import user_errors
from cplearn_solo.tables.cell import run_cell


def cell_program(folder: Path) -> dict[str, Any]:
    """Runs the cell prepared in ``folder`` and returns its result."""
    return run_cell(folder, partial(pretrain_task, references=False))  # the table has its own reference rows


if __name__ == "__main__":
    with user_errors("cell"):
        cell_program(Path(sys.argv[1]))
