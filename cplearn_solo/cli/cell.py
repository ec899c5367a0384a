"""One cell of a table as a program of its own; as a script, the same for the other devices of the cell."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from cplearn_solo.cli.tasks import pretrain_task
from cplearn_solo.core.user_errors import user_errors
from cplearn_solo.tables.cell import run_cell


def cell_program(folder: Path) -> dict[str, Any]:
    """What a result says of the cell that is prepared in ``folder``."""
    return run_cell(folder, partial(pretrain_task, references=False))  # the table has rows of its own for them


if __name__ == "__main__":
    with user_errors("cell"):
        cell_program(Path(sys.argv[1]))
