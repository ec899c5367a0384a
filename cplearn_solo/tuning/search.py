"""Runs a search: what is due as jobs, what comes of them to the record, until nothing is due."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from omegaconf import OmegaConf

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

PRELOAD = ("cplearn_solo.engine.train", "cplearn_solo.evaluation.summary")  # what trials import


def run_search(record: Record, run_trials: RunTrials) -> None:
    """Until nothing is due. Raises ``InputError`` where the first generation of trials has failed before any has
    succeeded: the first by their numbers, as those that fail end early."""
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
    """Trials in processes of their own, as the user asks; ``InputError`` where that cannot be, and for a trial that was
    interrupted, which says nothing of its keys."""
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
            CONFIG: OmegaConf.to_yaml(OmegaConf.create(config)),
            FACTS: json.dumps({"epochs": epochs, "score": search.request.score}) + "\n",
        },
        kind=str(trial.rung),
        steps_done=partial(epochs_done, place, epochs),
    )
