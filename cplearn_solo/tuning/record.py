"""The outcomes of a search: a line of JSON for each trial at each rung, in order of the trials.

After a kill, only the recorded seconds may differ. The number of workers sets the number of threads of a trial, and so
affects the last digits of its scores.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import cplearn_solo
from cplearn_solo.config.identity import LEARNING_VERSION
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.files import write_file, write_json
from cplearn_solo.core.locks import locked_folder
from cplearn_solo.tuning.halving import Outcome, Trial
from cplearn_solo.tuning.plan import Search

HEAD, TRIALS = "search.json", "trials.jsonl"


class Record:
    """The outcomes of ``search`` so far, in its folder, which is made when the first is added.

    If no trial has succeeded, the failures are ignored: their cause may have been fixed.
    """

    def __init__(self, search: Search) -> None:
        self.search, self.folder = search, search.folder
        self.outcomes = self._read()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """A block in which outcomes may be added; they are read again at its beginning.

        Raises ``InputError`` if another process is running the same search.
        """
        with locked_folder(self.folder, key="results", work="makes the same search"):
            self.outcomes = self._read()
            write_json(self.folder / HEAD, self._head())
            yield

    def add(self, outcome: Outcome) -> None:
        """Adds an outcome."""
        self.outcomes = sorted([*self.outcomes, outcome], key=lambda o: (o.trial.number, o.trial.rung))
        write_file(self.folder / TRIALS, "".join(json.dumps(self._line(o)) + "\n" for o in self.outcomes))

    def _line(self, outcome: Outcome) -> dict[str, Any]:
        trial = outcome.trial
        values = {key: value for key, value in asdict(outcome).items() if key != "trial" and value not in (None, "")}
        epochs = self.search.rules.rungs[trial.rung]
        return {"trial": trial.number, "rung": trial.rung, "epochs": epochs, "keys": trial.keys, **values}

    def _read(self) -> list[Outcome]:
        file = self.folder / TRIALS
        if not file.exists():
            return []
        try:
            outcomes = [_outcome(json.loads(line)) for line in file.read_text().splitlines()]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{file} is damaged: {error}") from error
        return outcomes if any(o.scores is not None for o in outcomes) else []

    def _head(self) -> dict[str, Any]:
        """A description of the search for readers; the folder's name identifies the search."""
        rules = self.search.rules
        return {
            "learning_version": LEARNING_VERSION,
            "cplearn-solo": cplearn_solo.__version__,
            "score": self.search.request.score,
            "sampler": rules.sampler,
            "rungs": rules.rungs,
            "generation": rules.generation,
            "seed": rules.seed,
            "space": {key: str(domain) for key, domain in rules.space.items()},
            "config": self.search.config,
        }


def _outcome(line: dict[str, Any]) -> Outcome:
    trial = Trial(line["trial"], line["rung"], line["keys"])
    return Outcome(trial, **{k: v for k, v in line.items() if k not in ("trial", "rung", "keys")})
