"""The results of a search, as text that all formats share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cplearn_solo
from cplearn_solo.config.identity import LEARNING_VERSION
from cplearn_solo.core.commands import typed
from cplearn_solo.core.numbers import counted
from cplearn_solo.data.fingerprint import describe_first_change
from cplearn_solo.tuning.domains import Keys
from cplearn_solo.tuning.halving import Outcome, Rules, best, ranked, told
from cplearn_solo.tuning.importance import importances
from cplearn_solo.tuning.plan import Search
from cplearn_solo.tuning.record import Record
from cplearn_solo.tuning.scores import standings
from cplearn_solo.tuning.suggest import count_at_random


@dataclass(frozen=True)
class Block:
    """A table of text; its first column is of names, the others of numbers."""

    title: str
    header: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Sheet:
    """The output. ``best``: a sentence on the best trial; ``importance``: of each key, the largest first, or empty.

    ``train``: the command that trains with the best keys, empty if all trials failed; ``search``: the command that
    repeats the search.
    """

    title: str
    best: str
    importance: dict[str, float]
    train: str
    search: str
    blocks: list[Block]
    notes: list[str]


def make_sheet(record: Record, *, train: Sequence[str], search: Sequence[str]) -> Sheet:
    """The sheet of the outcomes so far.

    ``train``: words of the command that trains, to which the best keys are added; ``search``: of the one that searches.
    """
    outcomes, rules = record.outcomes, record.search.rules
    chosen = best(rules, outcomes)
    keys = chosen.trial.keys if chosen else {}
    trained = {**record.search.following, **keys}
    shares = importances(rules.space, told(rules.score, finished_at(outcomes, 0)))
    return Sheet(
        title=f"Search for keys of {record.search.name} by {record.search.request.score}",
        best=_best(record.search, outcomes, chosen) if chosen else "No trial has finished.",
        importance=shares,
        train=typed([*train, *(f"{key}={text(value)}" for key, value in trained.items())]) if chosen else "",
        search=typed(search),
        blocks=[_keys(record.search, shares, keys), _trials(record.search, outcomes)],
        notes=[
            *_notes(record.search, outcomes),
            *_changed_images(outcomes),
            *([] if shares else ["Importance: too few trials, or scores too much alike, to say which key matters."]),
        ],
    )


def drawn(rules: Rules, count: int) -> str:
    """How ``count`` trials are drawn, as words after "drawn"."""
    first = count_at_random(rules.generation)
    if rules.sampler == "random" or count <= first:
        return "at random"
    return f"at random, and after the first {first} in groups of {rules.generation} by TPE"


def text(value: Any) -> str:
    """A value as written on the command line."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def finished_at(outcomes: Sequence[Outcome], rung: int) -> list[Outcome]:
    """The outcomes with scores at a rung, in order of the trials."""
    return [o for o in outcomes if o.trial.rung == rung and o.scores is not None]


def figures(search: Search, outcomes: Sequence[Outcome], rung: int) -> dict[int, float]:
    """The score of each trial at a rung, by number; for mean ranks, lower is better."""
    there = finished_at(outcomes, rung)
    values = standings(search.rules.score, [o.scores for o in there])
    return {o.trial.number: -v if search.rules.score.is_rank else v for o, v in zip(there, values)}


def _best(search: Search, outcomes: Sequence[Outcome], chosen: Outcome) -> str:
    """A sentence that compares the best trial with the unchanged configuration."""
    number, rung = chosen.trial.number, chosen.trial.rung
    scores = figures(search, outcomes, rung)
    name = f"trial {number}" + (", the configuration as it is" if number == 0 else "")
    words = f"Best of {counted(_count(outcomes), 'trial')}: {name}, {search.request.score} {_figure(scores[number])}"
    words += f" after {counted(search.rules.rungs[rung], 'epoch')}."
    if number == 0:
        return words
    return (
        f"{words} The configuration as it is, trial 0, {f'has {_figure(scores[0])}' if 0 in scores else 'has failed'}."
    )


def _keys(search: Search, shares: dict[str, float], keys: Keys) -> Block:
    rules = search.rules
    rows = [
        [
            key,
            *([f"{100 * shares[key]:.0f} %"] if shares else []),
            str(rules.space[key]),
            text(rules.first[key]),
            text(keys[key]) if keys else "",
        ]
        for key in shares or rules.space
    ]
    about = f", and their importance after {counted(rules.rungs[0], 'epoch')}" if shares else ""
    return Block(f"Keys{about}", ["key", *(["importance"] if shares else []), "may be", "before", "best"], rows)


def _trials(search: Search, outcomes: Sequence[Outcome]) -> Block:
    """A row for each trial, sorted by the last rung and then by the score."""
    rules, space = search.rules, list(search.rules.space)
    last = list({o.trial.number: o for o in outcomes}.values())  # of each trial, because outcomes are in order of rungs
    scores = [figures(search, outcomes, rung) for rung in range(len(rules.rungs))]
    there = [[o for o in outcomes if o.trial.rung == rung] for rung in reversed(range(len(rules.rungs)))]
    order = [o for of_rung in there for o in ranked(rules.score, of_rung) if o in last]
    order += [o for o in last if o.scores is None]
    failed = ["failed"] if any(o.failed for o in order) else []
    rows = [
        [
            str(o.trial.number),
            *(_figure(of[o.trial.number]) if o.trial.number in of else "" for of in scores),
            *(text(o.trial.keys[key]) for key in space),
            *(o.failed for _ in failed),
        ]
        for o in order
    ]
    header = ["trial", *(counted(epochs, "epoch") for epochs in rules.rungs), *space, *failed]
    return Block(f"Trials, and their {search.request.score}", header, rows)


def _notes(search: Search, outcomes: Sequence[Outcome]) -> list[str]:
    rules, share = search.rules, search.config["data"]["val_split"]
    images = f"{100 * share:g} % of the training images, held out" if share else "training images"
    half = " and ".join(map(str, rules.rungs[:-1]))
    finished = [o for o in outcomes if o.scores is not None]
    # trials with the same keys share a run
    runs = {o.folder or o.trial.number: o for o in sorted(finished, key=lambda o: o.trial.rung)}.values()
    epochs = sum(o.epochs or rules.rungs[o.trial.rung] for o in runs)
    seconds = sum(o.seconds for o in runs if o.seconds is not None)
    count, budget = _count(outcomes), rules.budget
    made = f"{count} of {budget} trials" if count <= budget else f"{count} trials, in calls with a budget over {budget}"
    return [
        f"{search.request.score}: {rules.score.about}, of {images}. No test image takes part.",
        f"{made}, drawn {drawn(rules, count)}; trial 0 is the configuration as it is."
        + (f" After epoch {half} the better half, and trial 0, went on." if half else ""),
        f"{counted(epochs, 'epoch')} in all, as many as {epochs / rules.rungs[-1]:.1f} runs have; {seconds / 60:.1f} "
        "minutes of training, those of all trials added up"
        + (", some of which had the same keys and so shared a run" if len(runs) < _count(finished) else "")
        + (", without what has failed." if len(finished) < len(outcomes) else "."),
        "The best of several scores is higher than it deserves, the more so the more trials and the fewer images: what "
        "the best keys are worth, test images say.",
        f"seed {rules.seed}, learning version {LEARNING_VERSION}, cplearn-solo {cplearn_solo.__version__}",
    ]


def _changed_images(outcomes: Sequence[Outcome]) -> list[str]:
    """A note if trials had other images than the first one, because files at the same path have changed."""
    change = describe_first_change([outcome.data for outcome in outcomes if outcome.data])
    if not change:
        return []
    return [
        f"Images have changed between trials, whose scores do not compare: {change}. Other folders, results=FOLDER "
        "work=FOLDER, begin anew."
    ]


def _count(outcomes: Sequence[Outcome]) -> int:
    return len({o.trial.number for o in outcomes})


def _figure(value: float) -> str:
    return f"{value:.4f}" if value < 1 else f"{value:.2f}"  # otherwise a rank or RankMe
