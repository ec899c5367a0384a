"""From the cells of a grid without a result to jobs, and from the outcomes of jobs to results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cplearn_solo.core.as_yaml import as_yaml
from cplearn_solo.core.errors import InputError, require, some
from cplearn_solo.data.checks import check_data, check_places
from cplearn_solo.data.schema import KNOWN_IMAGES, DataConfig
from cplearn_solo.data.sources import DATASETS
from cplearn_solo.engine.find import epochs_done
from cplearn_solo.jobs.job import Job, Program
from cplearn_solo.jobs.launch import Launcher, make_launcher
from cplearn_solo.jobs.progress import Board
from cplearn_solo.jobs.queue import Outcome, run_jobs
from cplearn_solo.tables.cell import CONFIG, FACTS, curves
from cplearn_solo.tables.identity import cell_folder, changes, checked, identity
from cplearn_solo.tables.plan import Cell, Grid
from cplearn_solo.tables.results import Found, Record, Results

NAMED = 3  # rows, seeds or keys in a message


def missing(grid: Grid, found: Found) -> list[Cell]:
    """The cells to run: those without a result, and those that have failed.

    Raises ``InputError`` naming the cells whose configuration has changed since they were run, unless the user asks
    to run them again.
    """
    stale = [(cell, record) for cell, record in found.stale if cell in grid.cells]
    if stale and not grid.request.rerun_stale:
        raise InputError(_stale_message(grid, stale))
    return [c for c in grid.cells if c not in found.records or "failed" in found.records[c]]


def by_identity(cells: Sequence[Cell], work: Path = Path()) -> dict[str, list[Cell]]:
    """Cells by identity: cells with the same one share a run below ``work``. Raises ``InputError`` for an invalid
    configuration, and for images that do not exist or that cannot be used for scores."""
    alike: dict[str, list[Cell]] = {}
    for cell in cells:
        alike.setdefault(identity(cell, work), []).append(cell)
    for cell in {json.dumps(cell.config.get("data")): cell for cell in cells}.values():
        _check_images(checked(cell).data)
    return alike


def _check_images(data: DataConfig) -> None:
    """Lists the user's own images: cells need labelled images to train probes on and to score on."""
    check_data(data)
    check_places(data)
    if data.dataset in (*KNOWN_IMAGES, "hub"):
        return
    train, test = DATASETS[data.dataset](data, not data.val_split)
    share = "" if data.no_labels else ", or data.val_split a share to hold out"
    needed = [] if data.no_labels else [("train_path", train, "")]
    needed += [] if data.val_split else [("val_path", test, share)]
    for key, images, instead in needed:
        there = images is not None and bool((images.labels >= 0).any())
        require(there, f"data.{key}", getattr(data, key), f"images with labels{instead}: a table is of scores")


def launcher_of(grid: Grid, preload: Sequence[str]) -> Launcher:
    """The requested launcher; ``preload``: modules that jobs import. Raises ``InputError`` for invalid settings."""
    request, configs = grid.request, [cell.config for cell in grid.cells]
    return make_launcher(
        request.launcher,
        request.workers,
        devices=configs[0].get("devices", 1),  # given by the user, so the same for all cells
        use_gpus=any(config.get("accelerator") != "cpu" for config in configs),
        preload=preload,
        folder=Path(request.work),
        slurm={"name": "cplearn-table", **request.slurm},
    )


def run_cells(alike: dict[str, list[Cell]], program: Program, launcher: Launcher, results: Results, work: Path) -> None:
    """Runs ``program`` once for all cells of an identity and adds a result, or the failure, for each of them."""

    def ended(job: Job, outcome: Outcome, seconds: float) -> None:
        for cell in alike[job.key]:
            results.add(_record(cell, job.key, seconds, outcome))

    jobs = [_job(key, cells[0], program, cell_folder(work, key)) for key, cells in alike.items()]
    with Board("cells") as board:
        run_jobs(jobs, launcher, board, ended)


def _job(key: str, cell: Cell, program: Program, folder: Path) -> Job:
    # paths and devices may have changed since an earlier attempt, but not the trained model
    own = {"checkpoint": {**cell.config.get("checkpoint", {}), "dir": str(folder)}}
    facts = {"row": cell.row, "measures": cell.measures}
    return Job(
        key=key,
        folder=folder,
        label=str(cell),
        program=program,
        files={CONFIG: as_yaml({**cell.config, **own}), FACTS: json.dumps(facts) + "\n"},
        kind=cell.row,
        brief=cell.is_reference,
        steps_done=partial(epochs_done, folder, cell.config.get("max_epochs", 0)),
    )


def _record(cell: Cell, key: str, seconds: float, outcome: Outcome) -> Record:
    return {
        "column": cell.column,
        "row": cell.row,
        "seed": cell.seed,
        "identity": key,
        "seconds": round(seconds, 1),
        **outcome,
        **_drawn(cell, outcome),
        **({"measures": cell.measures} if cell.measures else {}),
        "config": cell.config,
    }


def _drawn(cell: Cell, outcome: Outcome) -> dict[str, Any]:
    """The curves of an outcome, with those that only the cell's table draws: other tables share the outcome."""
    there = outcome.get("curves", {})
    lacking = [name for name in cell.curves if name not in there]
    if not lacking or "run" not in outcome or not Path(outcome["run"]).is_dir():
        return {}
    return {"curves": {**there, **curves(Path(outcome["run"]), lacking)}}


def _stale_message(grid: Grid, stale: list[tuple[Cell, Record]]) -> str:
    seeds: dict[tuple[str, str], list[int]] = {}
    for cell, _ in stale:
        seeds.setdefault((cell.row, cell.column), []).append(cell.seed)
    names = [f"{row} on {column} (seed {some([*map(str, s)], NAMED)})" for (row, column), s in seeds.items()]
    first, record = stale[0]
    return (
        f"results = {grid.folder}: {len(stale)} cells are stale: rerun_stale=true runs them again and keeps the old "
        f"results, results=FOLDER starts anew. They are {some(names, NAMED)}; since they were run has changed, of the "
        f"first (there: in the results, here: now), {'; '.join(changes(first, record)[:NAMED])}"
    )
