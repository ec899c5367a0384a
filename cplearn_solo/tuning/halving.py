"""Successive halving: all trials train for a few epochs; the better half continues until twice as many, and so on.

(Jamieson & Talwalkar, AISTATS 2016.) The next trials are a function of the recorded outcomes, and not of the time and
order of these, so a killed search that is resumed ends with the same result.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cplearn_solo.tuning.domains import Keys, Space
from cplearn_solo.tuning.scores import Score, Scores, standings
from cplearn_solo.tuning.suggest import Told, suggest


@dataclass(frozen=True)
class Trial:
    """Training of one choice of keys until the epoch of a rung."""

    number: int
    rung: int
    keys: Keys


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial at a rung: scores, or the reason why it ``failed``.

    ``seconds``: of training since its first epoch. ``epochs``: those of the rung, or fewer if ``on_collapse: stop``
    ended it. ``folder``: where it ran; ``log``: the file with details of a failure;
    ``data``: the fingerprint of its images.
    """

    trial: Trial
    scores: Scores | None = None
    failed: str = ""
    seconds: float | None = None
    epochs: int | None = None
    folder: str = ""
    log: str = ""
    data: dict[str, Any] | None = None


@dataclass(frozen=True)
class Rules:
    """All that decides which trials there are; ``rungs``: epochs; ``first``: the keys of the first trial."""

    space: Space
    first: Keys
    score: Score
    rungs: tuple[int, ...]
    budget: int
    sampler: str
    generation: int
    seed: int


def rungs_of(epochs: int, count: int) -> tuple[int, ...]:
    """The epochs at which trials are compared: at each rung half as many as at the next one, without repetition.

    >>> rungs_of(50, 3)
    (13, 25, 50)
    """
    halvings = min(count, epochs.bit_length() + 1)  # more halvings would only repeat one epoch
    return tuple(sorted({-(-epochs // 2**rung) for rung in range(halvings)}))


def due(rules: Rules, outcomes: Sequence[Outcome]) -> list[Trial]:
    """The trials that can run now, side by side; empty when the search is over."""
    first = _first_rung_due(rules, outcomes)
    if first:
        return first
    for rung in range(1, len(rules.rungs)):
        done = _at(outcomes, rung)
        waiting = [Trial(o.trial.number, rung, o.trial.keys) for o in survivors(rules, outcomes, rung)]
        waiting = [trial for trial in waiting if trial.number not in done]
        if waiting:
            return waiting
    return []


def places(budget: int, rung: int) -> int:
    """Number of trials that train until ``rung``: half as many per rung, rounded up; the first trial may be extra."""
    return math.ceil(budget / 2**rung)


def survivors(rules: Rules, outcomes: Sequence[Outcome], rung: int) -> list[Outcome]:
    """Outcomes, at the rung before, of the trials that train until ``rung``; the best first.

    These are the better half, rounded up, and always the first trial, which is the unchanged configuration, so that
    the best can be compared with it at the end.
    """
    there = [o for number, o in sorted(_at(outcomes, rung - 1).items()) if number < rules.budget]
    if rung > 1:
        numbers = {o.trial.number for o in survivors(rules, outcomes, rung - 1)}
        there = [o for o in there if o.trial.number in numbers]
    order, count = ranked(rules.score, there), places(rules.budget, rung)
    return order[:count] + [o for o in order[count:] if o.trial.number == 0]


def ranked(score: Score, outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The outcomes with scores, the best first; equal ones in order of the trials."""
    finished = [o for o in outcomes if o.scores is not None]
    figures = standings(score, [o.scores for o in finished])
    return [o for _, o in sorted(zip(figures, finished), key=lambda pair: (-pair[0], pair[1].trial.number))]


def best(rules: Rules, outcomes: Sequence[Outcome]) -> Outcome | None:
    """The best trial at the highest rung that has scores; ``None`` if all have failed."""
    for rung in reversed(range(len(rules.rungs))):
        order = ranked(rules.score, _at(outcomes, rung).values())
        if order:
            return order[0]
    return None


def _first_rung_due(rules: Rules, outcomes: Sequence[Outcome]) -> list[Trial]:
    """Missing trials of the first incomplete generation; if drawn at random, of the whole budget."""
    done = _at(outcomes, 0)
    size = rules.budget if rules.sampler == "random" else rules.generation
    for start in range(0, rules.budget, size):
        numbers = range(start, min(start + size, rules.budget))
        if all(number in done for number in numbers):
            continue
        earlier = told(rules.score, [done[number] for number in range(start)])
        # a whole generation is drawn, so that a larger budget later has the same trials
        whole = range(start, start + size)
        keys = dict(zip(whole, suggest(rules.space, whole, earlier, sampler=rules.sampler, seed=rules.seed)))
        keys |= {0: rules.first} if start == 0 else {}
        return [Trial(number, 0, keys[number]) for number in numbers if number not in done]
    return []


def told(score: Score, outcomes: Sequence[Outcome]) -> list[Told]:
    """What a sampler learns from: keys and their score; a failed trial counts like the worst finished one."""
    finished = [o for o in outcomes if o.scores is not None]
    figures = {o.trial.number: f for o, f in zip(finished, standings(score, [o.scores for o in finished]))}
    if not figures:
        return []
    worst = min(figures.values())
    return [(o.trial.keys, figures.get(o.trial.number, worst)) for o in outcomes]


def _at(outcomes: Iterable[Outcome], rung: int) -> dict[int, Outcome]:
    return {o.trial.number: o for o in outcomes if o.trial.rung == rung}
