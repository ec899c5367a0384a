"""From a user's request to a search: its rules, and the configuration of each trial.

Nothing here needs a trainer, so that a mistake is reported at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from omegaconf import OmegaConf

from cplearn_solo.auto.choose import choose, following
from cplearn_solo.config.identity import LEARNING_VERSION, identifying_in
from cplearn_solo.config.list_keys import value_at
from cplearn_solo.config.read import parse_config
from cplearn_solo.config.schema import Config, EvaluationConfig
from cplearn_solo.config.trainer_keys import trainer_keys
from cplearn_solo.core.errors import InputError, require, require_known
from cplearn_solo.data.checks import check_data, check_places
from cplearn_solo.engine.asked import check_asked
from cplearn_solo.methods.catalog import method_facts
from cplearn_solo.tuning.domains import Choice, Keys
from cplearn_solo.tuning.halving import Rules, Trial, rungs_of
from cplearn_solo.tuning.schema import TuneConfig
from cplearn_solo.tuning.scores import SCORES
from cplearn_solo.tuning.spaces import read_space
from cplearn_solo.tuning.suggest import choose_sampler

# Keys that no space may vary: trials must share them to be compared, or they set the images to score on.
LENGTHS = ("max_time", "max_steps")  # refused, because trials are compared at the same epochs
COMMON = ("auto_resume", "checkpoint", "data", "evaluation", "max_epochs", "name", "resume_from_checkpoint", "seed")
MOST = 10_000  # trials of a search
HELD_OUT = 0.2  # data.val_split if the configuration has none
Plain = dict[str, Any]


@dataclass(frozen=True)
class Search:
    """A search. ``config``: the complete pretraining configuration without the keys of trials, as plain types.

    ``following``: values of keys that were ``auto`` and may depend on keys of the space, or on images that the search
    holds out.
    """

    request: TuneConfig
    rules: Rules
    config: Plain
    name: str  # of the runs
    following: Keys

    def config_of(self, keys: Keys) -> Plain:
        """The pretraining configuration of a trial."""
        config = OmegaConf.create(deepcopy(self.config))
        for key, value in keys.items():
            OmegaConf.update(config, key, value)
        plain: Any = OmegaConf.to_container(config)
        return plain

    def folder_of(self, trial: Trial) -> Path:
        """The folder of a trial, named by all that decides its scores at every rung, so that searches share it."""
        config = parse_config(self.config_of(trial.keys))
        lines = identifying_in(config, self.request.work, self.request.results)  # it names the search, too
        lines += [f"rungs {self.rules.rungs}", f"score {self.request.score}"]
        return Path(self.request.work) / str(LEARNING_VERSION) / _hash("\n".join(lines))

    @cached_property
    def folder(self) -> Path:
        """The folder of the results, named by all that decides them except the budget, which may grow."""
        rules = self.rules
        head = [self.folder_of(Trial(0, 0, rules.first)).name, rules.sampler, rules.seed]
        head += [LEARNING_VERSION] if LEARNING_VERSION > 2 else []  # version 2 names without it
        head += [rules.generation] if rules.sampler == "tpe" else []
        head += [[key, repr(domain)] for key, domain in rules.space.items()]
        return Path(self.request.results) / f"{self.name}-{self.request.score}-{_hash(json.dumps(head))[:8]}"


def plan(request: TuneConfig, raw: Plain, *, fixed: Iterable[str] = (), spaces: Path) -> Search:
    """The search that ``request`` describes, on the pretraining configuration ``raw``.

    ``fixed``: keys that the user has given, which therefore do not vary; ``spaces``: the default file of search spaces.
    Raises ``InputError`` naming the key, its value and the choices.
    """
    require(1 <= request.budget <= MOST, "budget", request.budget, f"at least 1 and at most {MOST}, the trials to make")
    require(request.rungs >= 1, "rungs", request.rungs, "at least 1")
    require(1 <= request.generation <= MOST, "generation", request.generation, f"at least 1 and at most {MOST}")
    require_known("score", request.score, SCORES)
    data = raw.get("data")
    _require_labels(request, isinstance(data, dict) and data.get("no_labels") is True)
    given = parse_config(choose(raw, held_out=HELD_OUT).values)
    begin, wanted = given.resume_from_checkpoint, "null in a search; backbone.weights=RUN starts from weights"
    require(begin is None, "resume_from_checkpoint", begin, wanted)
    require(not given.dry_run, "dry_run", True, "false in a search: cplearn pretrain says what a run takes")
    for key in LENGTHS:
        value = given.trainer.get(key)
        require(value in (None, -1), key, value, "null in a search, which compares trials after as many epochs")
    check_data(given.data)
    _require_labels(request, given.data.no_labels)
    config = parse_config(_held_out(request, given))
    check_places(config.data)
    if request.launcher == "local":
        check_asked(config)
    trained = config.plain()
    whole = {**_absent(), **trained, "method_kwargs": {**method_facts(config.method).defaults, **config.method_kwargs}}
    file = Path(request.space) if request.space else spaces
    space = read_space(file, config.method, whole, fixed=fixed)
    for key in space:
        part = key.partition(".")[0]
        wanted = f"another, as trials have {part} in common"
        require(part not in COMMON + LENGTHS, f"space = {str(file)!r}: key", key, wanted)
    rules = Rules(
        space=space,
        first={key: value_at(whole, key) for key in space},
        score=SCORES[request.score],
        rungs=rungs_of(config.max_epochs, request.rungs),
        budget=request.budget,
        sampler=choose_sampler(request.sampler),
        generation=request.generation,
        seed=config.seed,
    )
    changed = [*space, *(["data.val_split"] if config.data.val_split != given.data.val_split else [])]
    search = Search(request, rules, trained, config.name, following(raw, trained, changed))
    _check_space(search, file)
    return search


def _absent() -> Plain:
    """Arguments of the Trainer that a configuration may omit, because their default is null."""
    return {key: None for key, kind in trainer_keys().items() if NoneType in get_args(kind)}


def _require_labels(request: TuneConfig, no_labels: bool) -> None:
    free = [name for name, score in SCORES.items() if not score.labels]
    needed = not no_labels or not SCORES[request.score].labels
    wanted = f"{' or '.join(free)}, as data.no_labels is true and other scores need labels"
    require(needed, "score", request.score, wanted)


def _held_out(request: TuneConfig, config: Config) -> Plain:
    """The configuration with held-out training images instead of test images; without labels, with neither."""
    plain, wanted = config.plain(), SCORES[request.score].evaluation
    plain["data"] |= {"val_path": None} if config.data.no_labels else {"val_split": config.data.val_split or HELD_OUT}
    plain["checkpoint"]["enabled"] = plain["auto_resume"]["enabled"] = True
    return {**plain, "evaluation": {name: name in wanted for name in asdict(EvaluationConfig())}}


def _check_space(search: Search, file: Path) -> None:
    """Raises ``InputError`` for values of the space that are invalid in a configuration."""
    values = {key: d.values if isinstance(d, Choice) else (d.low, d.high) for key, d in search.rules.space.items()}
    for i in range(max(map(len, values.values()))):  # several keys in one check, because checks are slow
        try:
            parse_config(search.config_of({key: several[i % len(several)] for key, several in values.items()}))
        except InputError as error:
            raise InputError(f"space = {str(file)!r}: {error}") from error


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
