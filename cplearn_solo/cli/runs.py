"""``cplearn runs``: lists the runs below a folder."""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cplearn_solo.cli.options import parser_of
from cplearn_solo.cli.report import three_places
from cplearn_solo.config.list_keys import value_at
from cplearn_solo.config.score_names import current_scores
from cplearn_solo.core.errors import InputError, require, unknown
from cplearn_solo.core.files import folders_below
from cplearn_solo.core.locks import is_held
from cplearn_solo.core.progress import duration
from cplearn_solo.core.words import given_verdict
from cplearn_solo.data.sources.places import absolute
from cplearn_solo.engine.find import is_run
from cplearn_solo.jobs.job import RESULT

RUNS = """Lists the runs below a folder, oldest first: done, running, paused or killed, with epochs and scores.

  cplearn runs                                    those below ./runs
  cplearn runs results method=byol state=done     only some; any key of a configuration, and state
  cplearn runs --sort linear_acc1                 by a number of summary.json, the highest first; or name, method,
                                                  data, age

The same command resumes a killed run. A paused run is a trial of cplearn tune that has trained as long as its search
required."""

SCORES = {"linear_acc1": "linear", "knn_acc1": "kNN", "ami": "AMI", "verdict": "verdict"}  # and their headings
STATES = ("done", "running", "paused", "killed")
NAMED = ("age", "data", "method", "name", "state")  # what can be sorted by, besides scores
LONGEST = 10_000  # columns: a run is always one line, so that its path can be copied and searched for
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Run:
    """A run folder: its configuration, its summary if it is done, and the time of its last epoch."""

    path: Path
    config: dict[str, Any]
    summary: dict[str, Any]
    state: str  # one of STATES
    epochs: int
    changed: float

    def get(self, key: str) -> Any:
        """A score, one of ``NAMED``, or a key of the configuration; ``None`` where there is none."""
        own = {"state": self.state, "age": self.changed, "data": self.config.get("data", {}).get("dataset")}
        if key in own or key in self.summary:
            return own.get(key, self.summary.get(key))
        return value_at(self.config, key)


def command_line() -> argparse.ArgumentParser:
    """The program's options."""
    parser = parser_of("runs", RUNS)
    parser.add_argument("given", nargs="*", metavar="[FOLDER] key=value", help="where to look (default: runs); filters")
    parser.add_argument("--sort", default="age", metavar="NAME", help="what to sort by (default: %(default)s)")
    return parser


def runs_task(options: argparse.Namespace) -> None:
    """Prints the requested runs."""
    folders = [text for text in options.given if "=" not in text or os.path.isdir(text)]
    require(len(folders) <= 1, "FOLDER", " ".join(folders), "one folder")
    filters = [text for text in options.given if text not in folders]
    list_runs(folders[0] if folders else "runs", dict(text.split("=", 1) for text in filters), options.sort)


def list_runs(folder: str, filters: dict[str, str], sort: str) -> None:
    """Prints the runs below ``folder`` that match all ``filters``, sorted; ``InputError`` for unknown keys."""
    require(Path(folder).is_dir(), "FOLDER", folder, "a folder that exists")
    if (state := filters.get("state")) is not None and state not in STATES:
        raise unknown("state", state, STATES)
    runs = find_runs(Path(folder))
    scores = {key for run in runs for key, value in run.summary.items() if isinstance(value, (int, float))}
    if runs and sort not in scores and sort not in NAMED:
        raise unknown("sort", sort, scores | set(NAMED))
    for key in filters:
        if runs and all(run.get(key) is None for run in runs):
            raise InputError(f"{key} = {filters[key]!r}: no run below {folder} says this key")
    chosen = [run for run in runs if all(_agrees(run.get(key), text) for key, text in filters.items())]
    known = [run for run in chosen if run.get(sort) is not None]
    known.sort(key=lambda run: run.get(sort), reverse=sort in scores)
    _print([*known, *(run for run in chosen if run.get(sort) is None)], len(runs), folder)


def find_runs(folder: Path) -> list[Run]:
    """Every run at or below ``folder``, through links too, in order of their last change."""
    found = [_read(place) for place, files in folders_below(folder) if "config.yaml" in files]
    return sorted((run for run in found if run is not None), key=lambda run: run.changed)


def _read(path: Path) -> Run | None:
    try:
        config = yaml.load((path / "config.yaml").read_text(encoding="utf-8"), LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    if not isinstance(config, dict) or "method" not in config or not is_run(path):
        return None  # a configuration of something else
    log = path / "metrics.csv"
    summary = _summary(path)
    if summary:
        summary["verdict"] = given_verdict(summary)
    epochs = max(0, log.read_text().count("\n") - 1) if log.is_file() else 0
    changed = (log if log.is_file() else path / "config.yaml").stat().st_mtime
    return Run(path, config, summary, "done" if summary else _state(path, config), epochs, changed)


def _state(path: Path, config: dict[str, Any]) -> str:
    """The state of a run without a summary. Beside a trial's run, whose name may be a path, the search has a folder for
    each rung."""
    if is_held(path / ".lock"):
        return "running"
    above = path.absolute().parents[: len(Path(config.get("name", "")).parts) + 1]
    rungs = [file.parent for file in above[-1].glob("rung-*/trial.json")]
    told = rungs and (max(rungs, key=lambda rung: int(rung.name[5:])) / RESULT).is_file()
    return "paused" if told else "killed"


def _summary(path: Path) -> dict[str, Any]:
    try:
        return current_scores(json.loads((path / "summary.json").read_text()))
    except (OSError, ValueError):
        return {}


def _agrees(value: Any, text: str) -> bool:
    """Whether ``value`` equals the typed ``text``: as text, as a number, as YAML, or as a path from the root."""
    if value is None or str(value) == text:
        return value is not None
    if isinstance(value, str) and os.path.isabs(value) and value == absolute(text):
        return True
    try:
        typed = float(text) if type(value) in (int, float) else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError):
        return False
    several = isinstance(typed, list) and all(isinstance(path, str) for path in typed)
    return value in (typed, absolute(typed) if several else typed)


def _print(runs: list[Run], total: int, folder: str) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in ("run", "method", "data", "seed", "age", "state", *SCORES.values()):
        table.add_column(column, no_wrap=True)
    for run in runs:
        epochs = "" if run.state == "done" else f" {run.epochs}/{run.config.get('max_epochs', '?')}"
        cells = (
            str(run.path),
            *(str(run.get(key)) for key in ("method", "data", "seed")),
            duration(time.time() - run.changed),
            f"{run.state}{epochs}",
            *(three_places(run.summary.get(key)) for key in SCORES),
        )
        table.add_row(*map(escape, cells))  # a folder may be called [old]
    if runs:
        Console(width=LONGEST).print(table)
    counts = {state: sum(run.state == state for run in runs) for state in STATES}
    words = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    print(f"{len(runs)} of {total} runs below {folder}{f': {words}' if words else ''}")
