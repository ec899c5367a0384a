"""One cell of a table, as ``cplearn table`` starts it; by hand ``python -m cplearn_solo.cli.cell FOLDER``.

``FOLDER`` has the cell's ``config.yaml`` and ``cell.json``; the run is made, or resumed, inside it, and
``result.json`` says what came of it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shlex
import sys
import threading
import time
from io import BytesIO
from pathlib import Path
from typing import Any

from filelock import FileLock

from cplearn_solo.cli.hydra_app import user_errors


def cell_process(folder: str, environment: dict[str, str]) -> None:
    """Runs the cell in a process that was made for it and ends with the process that made it.

    Output goes to ``log.txt``; exit code 2 and a line ``cell: error: ...`` on bad input.
    """
    os.environ.update(environment)
    log = os.open(Path(folder, "log.txt"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(log, stream.fileno())
    if multiprocessing.parent_process():
        threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv = [__file__, folder]  # what Lightning starts again for the other devices of a cell
    run_cell(Path(folder))


def run_cell(folder: Path) -> None:
    """Runs the cell that is prepared in ``folder`` unless that has been done; waits for another process that does."""
    with user_errors("cell"), FileLock(folder / ".lock"):
        if not (folder / "result.json").exists():
            _run(folder)


def _run(folder: Path) -> None:
    from lightning.pytorch.utilities import rank_zero_only
    from omegaconf import OmegaConf

    from cplearn_solo.cli.tasks import pretrain_task
    from cplearn_solo.config.read import parse_config
    from cplearn_solo.evaluation.reference_rows import floor_summary

    cell, raw = json.loads((folder / "cell.json").read_text()), OmegaConf.load(folder / "config.yaml")
    if cell["floor"]:
        _write(folder, {"summary": floor_summary(cell["row"], parse_config(raw)), "date": _today()})
        return
    finished = sorted(folder.glob("*/*/summary.json"))
    if not finished:
        pretrain_task(raw)
        finished = sorted(folder.glob("*/*/summary.json"))
    if rank_zero_only.rank == 0:
        command = ["cplearn", "pretrain", "--config-path", str(folder), "--config-name", "config.yaml"]
        _write(folder, {"command": shlex.join(command), **_trained(finished[-1].parent), "date": _today()})


def _trained(run: Path) -> dict[str, Any]:
    """Summary, sizes in bytes and learning curve of a finished run."""
    import torch

    from cplearn_solo.engine.checkpoint import LAST, read_checkpoint
    from cplearn_solo.engine.log import EpochLog

    found: dict[str, Any] = {"summary": json.loads((run / "summary.json").read_text()), "run": str(run)}
    if (run / LAST).exists():
        weights = BytesIO()
        torch.save(read_checkpoint(run / LAST)["state_dict"], weights)
        found |= {"state_dict_bytes": weights.tell(), "checkpoint_bytes": (run / LAST).stat().st_size}
    accuracy = [row["val_acc1"] for row in EpochLog.read(run) if "val_acc1" in row]
    return {**found, "online_acc1_by_epoch": [round(value, 4) for value in accuracy]}


def _write(folder: Path, result: dict[str, Any]) -> None:
    partial = folder / ".result.partial"
    partial.write_text(json.dumps(result) + "\n")
    partial.replace(folder / "result.json")


def _today() -> str:
    return time.strftime("%Y-%m-%d")


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)  # nothing is lost: runs are resumed


if __name__ == "__main__":  # not locked: the other devices of a cell come here
    with user_errors("cell"):
        _run(Path(sys.argv[1]))
