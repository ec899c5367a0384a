"""Runs a search: runs due trials as jobs and records their outcomes, until no trial is due."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from cplearn_solo.core.as_yaml import as_yaml
from cplearn_solo.core.errors import InputError
from cplearn_solo.engine.find import epochs_done
from cplearn_solo.jobs.job import Job
from cplearn_solo.jobs.launch import Launcher, make_launcher
from cplearn_solo.jobs.progress import Board
from cplearn_solo.jobs.queue import Outcome as JobOutcome
from cplearn_solo.jobs.queue import run_jobs
from cplearn_solo.tuning.halving import Outcome, Trial, due
from cplearn_solo.tuning.plan import Search
from cplearn_solo.tuning.record import Record
from cplearn_solo.tuning.trial import CONFIG, FACTS, run_trial

# Runs trials side by side and calls the second argument with the outcome of each.
RunTrials = Callable[[Sequence[Trial], Callable[[Outcome], None]], None]

PRELOAD = ("cplearn_solo.engine.train", "cplearn_solo.evaluation.summary")  # modules that trials import


def run_search(record: Record, run_trials: RunTrials) -> None:
    """Runs trials until none is due. Raises ``InputError`` if all trials of the first generation have failed before
    any trial has succeeded. Numbers tell which trials are in it, and not the order of ends: failed trials end early."""
    rules = record.search.rules
    generation = set(range(min(rules.generation, rules.budget)))

    def add(outcome: Outcome) -> None:
        record.add(outcome)
        ended = {o.trial.number for o in record.outcomes}
        if generation <= ended and all(o.scores is None for o in record.outcomes):
            first = record.outcomes[0]
            raise InputError(f"no trial has succeeded of {len(ended)}; the first: {first.failed} ({first.log})")

    with record.locked():
        while trials := due(rules, record.outcomes):
            run_trials(trials, add)


def as_jobs(search: Search) -> RunTrials:
    """Runs trials in their own processes, by the requested launcher. Raises ``InputError`` for an invalid launcher, and
    for an interrupted trial, which says nothing about its keys."""
    launcher = _launcher(search)

    def run_trials(trials: Sequence[Trial], add: Callable[[Outcome], None]) -> None:
        by_key = {str(trial.number): trial for trial in trials}

        def ended(job: Job, found: JobOutcome, seconds: float) -> None:
            if found.get("interrupted"):
                told = f"{job.label}: {found['failed']} ({found['log']})"
                raise InputError(f"{told}; the same command goes on with the search")
            add(Outcome(by_key[job.key], **found, folder=str(job.folder.parent)))

        epochs = search.rules.rungs[trials[0].rung]
        with Board(f"trials until epoch {epochs}") as board:
            run_jobs([_job(search, trial) for trial in trials], launcher, board, ended)

    return run_trials


def _launcher(search: Search) -> Launcher:
    request, config = search.request, search.config
    return make_launcher(
        request.launcher,
        request.workers,
        devices=config["devices"],
        use_gpus=config.get("accelerator") != "cpu",
        preload=PRELOAD,
        folder=Path(request.work),
        slurm={"name": "cplearn-tune", **request.slurm},
    )


def _job(search: Search, trial: Trial) -> Job:
    place, epochs = search.folder_of(trial), search.rules.rungs[trial.rung]
    config = search.config_of(trial.keys)
    config["checkpoint"] = {**config["checkpoint"], "dir": str(place)}
    return Job(
        key=str(trial.number),
        folder=place / f"rung-{trial.rung}",
        label=f"trial {trial.number}",
        program=run_trial,
        files={
            CONFIG: as_yaml(config),
            FACTS: json.dumps({"epochs": epochs, "score": search.request.score}) + "\n",
        },
        kind=str(trial.rung),
        steps_done=partial(epochs_done, place, epochs),
    )
