"""Runs the cells of a grid that have no result yet; any of them may fail, and this process may be killed."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from cplearn_solo.config.identity import difference
from cplearn_solo.core.errors import InputError, unknown
from cplearn_solo.jobs.launch import ATTEMPT, LOG, RESULT, Job, Launcher, Local, Program, Slurm, failure
from cplearn_solo.tables.identity import checked, identity
from cplearn_solo.tables.plan import Cell, Grid
from cplearn_solo.tables.progress import Board
from cplearn_solo.tables.results import Found, Record, Results

POLL_SECONDS = 0.25


@dataclass
class Task:
    """Cells of one identity, which one process runs in ``folder``."""

    identity: str
    folder: Path
    cells: list[Cell] = field(default_factory=list)
    job: Job | None = None
    slot: int = 0
    started: float = 0.0


def missing(grid: Grid, found: Found) -> list[Cell]:
    """The cells to run: those without a result, and those that have failed.

    Raises ``InputError`` naming the cells whose configuration has changed since they were run, unless the user wants
    them run again.
    """
    stale = [(cell, record) for cell, record in found.stale if cell in grid.wanted]
    if stale and not grid.request.rerun_stale:
        raise InputError(_stale_message(grid, stale))
    return [c for c in grid.wanted if c not in found.records or "failed" in found.records[c]]


def tasks(cells: list[Cell], results: Results, work: Path) -> list[Task]:
    """One task an identity; ``InputError`` for a configuration that no run would accept. Nothing is written."""
    folder = work / results.version  # another version may learn something else from the same keys
    found: dict[str, Task] = {}
    for cell in cells:
        key = identity(cell)
        found.setdefault(key, Task(key, folder / key)).cells.append(cell)
    return list(found.values())


def launcher(grid: Grid, program: Program) -> Launcher:
    """What starts ``program`` on cells, as the user asks; ``InputError`` where that cannot be."""
    request = grid.request
    if request.launcher == "slurm":
        return Slurm(program, request.workers, folder=Path(request.work), parameters=request.slurm)
    if request.launcher != "local":
        raise unknown("launcher", request.launcher, ("local", "slurm"))
    configs = [cell.config for cell in grid.wanted]
    use_gpus = any(config.get("accelerator") != "cpu" for config in configs)
    devices = configs[0].get("devices", 1)  # the user's key, so that of all
    return Local(program, request.workers, devices=devices, use_gpus=use_gpus)


def run(todo: list[Task], launcher: Launcher, results: Results, board: Board) -> None:
    """Runs ``todo`` side by side and adds a result, or the reason of a failure, for each of their cells."""
    waiting, running, free = deque(todo), [], deque(range(launcher.workers))
    board.begin(todo, launcher.workers)
    try:
        while waiting or running:
            while waiting and free:
                running.append(_start(waiting.popleft(), free.popleft(), launcher))
            for task in [task for task in running if task.job.done()]:
                running.remove(task)
                free.append(task.slot)
                outcome = _outcome(task)
                for cell in task.cells:
                    results.add(_record(cell, task, outcome))
                board.ended(task, outcome.get("failed"))
            board.show(running, len(waiting))
            time.sleep(POLL_SECONDS if running else 0)
    finally:
        for task in running:
            task.job.stop()


def _start(task: Task, slot: int, launcher: Launcher) -> Task:
    _prepare(task)
    task.slot, task.started = slot, time.time()
    task.job = launcher.start(task.folder, slot)
    return task


def _prepare(task: Task) -> None:
    cell = task.cells[0]
    try:
        task.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"work = {task.folder.parent}: {error}") from error
    # paths and devices may have changed since an earlier attempt, what is learned cannot have
    own = {"checkpoint": {**cell.config.get("checkpoint", {}), "dir": str(task.folder)}}
    OmegaConf.save(OmegaConf.create({**cell.config, **own}), task.folder / "config.yaml")
    (task.folder / "cell.json").write_text(json.dumps({"row": cell.row, "floor": cell.floor}) + "\n")
    with open(task.folder / LOG, "a") as log:
        log.write(f"{ATTEMPT}{time.strftime('%Y-%m-%d %H:%M:%S')}\n")


def _outcome(task: Task) -> dict[str, Any]:
    """What the process has left: its result, or ``failed`` with the reason."""
    exit_code = task.job.exit_code()
    path = task.folder / RESULT
    if path.exists():
        return json.loads(path.read_text())
    return {"failed": failure(task.folder, exit_code), "log": str(task.folder / LOG)}


def _record(cell: Cell, task: Task, outcome: dict[str, Any]) -> Record:
    return {
        "column": cell.column,
        "row": cell.row,
        "seed": cell.seed,
        "identity": task.identity,
        "seconds": round(time.time() - task.started, 1),
        **outcome,
        "config": cell.config,
    }


def _stale_message(grid: Grid, stale: list[tuple[Cell, Record]]) -> str:
    seeds: dict[tuple[str, str], list[int]] = {}
    for cell, _ in stale:
        seeds.setdefault((cell.row, cell.column), []).append(cell.seed)
    names = [f"{row}, {column}, seeds {', '.join(map(str, s))}" for (row, column), s in seeds.items()]
    now, then = (checked(replace(stale[0][0], config=c)).plain() for c in (stale[0][0].config, stale[0][1]["config"]))
    changed = difference(now, then)
    return (
        f"results = {grid.folder}: {len(stale)} cells are stale, their configuration has changed since they were run "
        f"(there: in the results, here: now; of the first, {'; '.join(changed[:3]) or 'the defaults'}): "
        f"{' | '.join(names)}. rerun_stale=true runs them again and keeps the old results; results=FOLDER starts anew"
    )
