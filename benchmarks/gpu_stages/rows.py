"""Cells of Table 1's CIFAR-10 column at full scale, several at a time on one GPU, until time is up.

Each cell is a call of ``main_table.py`` for one row and seed. Finished cells are lines of ``cells.jsonl``, which can be
used in the folder ``results/<table>-<data>-full``. Unfinished cells are kept in ``work.00``, ``work.01``, ..., parts of
a tar file, from which the next call resumes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_stages.options import Options
from gpu_stages.parts import pack, unpack
from gpu_stages.report import Report

ROOT = Path(__file__).parents[2]
# in order; all seeds of these come before the first of GEDI, whose steps take about ten times as long
ROWS = [
    "CPLearn (16384)",
    "CPLearn (c = f)",
    "Barlow",
    "SwAV",
    "GEDI no gen",
    "Self-Classifier (c = k)",
    "Self-Classifier (16384)",
    "CPLearn (10)",
]
LAST_ROW = "GEDI"
SEEDS = 5
CLOSING_SECONDS = 15  # to end processes and pack checkpoints
LABEL = "CIFAR-10 (JPEG copy)"
TINY = [
    "accelerator=cpu",
    "max_epochs=2",
    "data.max_train_images=128",
    "data.max_val_images=64",
    "backbone.kwargs.width=8",
    "evaluation.clustering=false",
]


@dataclass
class Running:
    """A cell's process, and the folder of its result."""

    row: str
    seed: int
    process: subprocess.Popen
    results: Path
    started: float


def run(report: Report, options: Options) -> None:
    end = time.monotonic() + options.seconds - CLOSING_SECONDS
    out, work = Path(options.out), Path(options.work) / "tables"
    shutil.rmtree(Path(options.work) / "results", ignore_errors=True)  # finished cells are in cells.jsonl
    unpack(out, work)
    finished = _records(out / "cells.jsonl")
    done = {(record["row"], record["seed"]) for record in finished}
    waiting = [cell for cell in cells(options.rows) if cell not in done]
    workers = options.workers or max(1, min(8, (os.cpu_count() or 2) // 2))
    report.say(f"on {LABEL}: accuracies are close to those on CIFAR-10, not equal; {workers} cells at a time")
    running: list[Running] = []
    try:
        while time.monotonic() < end and (waiting or running):
            while waiting and len(running) < workers:
                running.append(_start(*waiting.pop(0), options))
            time.sleep(1)
            for cell in [cell for cell in running if cell.process.poll() is not None]:
                running.remove(cell)
                finished += _ended(cell, report, out, finished)
    finally:
        for cell in running:
            _kill(cell)
            report.add(row=cell.row, seed=cell.seed, state=_progress(cell, work), seconds=time.time() - cell.started)
        kept = pack(work, out, order=cells(options.rows), megabytes=options.keep_mb)
        report.say(f"checkpoints kept for the next call: {', '.join(kept) or 'none'}")


def cells(rows: list[str]) -> list[tuple[str, int]]:
    """Rows and seeds in the order in which they run; only those of ``rows``, if any are given."""
    ordered = [(row, seed) for seed in range(SEEDS) for row in ROWS] + [(LAST_ROW, seed) for seed in range(SEEDS)]
    return [cell for cell in ordered if not rows or cell[0] in rows]


def _start(row: str, seed: int, options: Options) -> Running:
    results = Path(options.work) / "results" / f"{row}-{seed}"
    command = [
        *(sys.executable, "main_table.py", "--config-name", "table1.yaml", "scale=full", "data.dataset=parquet"),
        *(f"data.train_path={options.data}/train.parquet", f"data.val_path={options.data}/test.parquet"),
        *("compare_with=cifar10", f"label='{LABEL}'", f"rows=['{row}']", f"seeds=[{seed}]", "workers=1"),
        *(f"work='{options.work}/tables'", f"results='{results}'"),
        *(TINY if options.tiny else ()),
    ]
    print("+", *command, flush=True)
    environment = {"OMP_NUM_THREADS": "2", **os.environ}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
    return Running(row, seed, process, results, time.time())


def _ended(cell: Running, report: Report, out: Path, finished: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records the outcome of a cell; returns its line in a list, which is empty if it failed."""
    found = _records(cell.results / "cells.jsonl")
    seconds = time.time() - cell.started
    good = [record for record in found if "summary" in record]
    if good:
        scores = {key: good[-1]["summary"].get(key) for key in ("linear_acc1", "nmi", "kmeans_ami")}
        report.add(row=cell.row, seed=cell.seed, state="finished", seconds=seconds, **scores)
        (out / "grid.json").write_text((cell.results / "grid.json").read_text())
        partial = out / ".cells.partial"
        partial.write_text("".join(json.dumps(record) + "\n" for record in [*finished, good[-1]]))
        partial.replace(out / "cells.jsonl")
        return good[-1:]
    reason = found[-1]["failed"] if found else f"main_table.py ended with {cell.process.returncode}, see log.txt"
    report.add(row=cell.row, seed=cell.seed, state=f"failed: {reason[:100]}", seconds=seconds)
    return []


def _progress(cell: Running, work: Path) -> str:
    for file in work.glob("*/*/cell.json"):
        config = (file.parent / "config.yaml").read_text()
        if json.loads(file.read_text())["row"] == cell.row and f"\nseed: {cell.seed}\n" in config:
            logs = sorted(file.parent.glob("*/*/metrics.csv"))
            return f"epoch {logs[-1].read_text().count(chr(10)) - 1}" if logs else "before its first epoch"
    return "before its first epoch"


def _kill(cell: Running) -> None:
    """Kills a cell with its children; its run can be resumed from its last epoch."""
    os.killpg(cell.process.pid, signal.SIGKILL)
    cell.process.wait()


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
