"""How many trials train until each rung, and that nothing depends on the order in which they end."""

import math
from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from cplearn_solo.tuning.domains import Range
from cplearn_solo.tuning.halving import Outcome, Rules, due, rungs_of
from cplearn_solo.tuning.scores import SCORES

SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def searches(draw):
    """Rules of a search, and its results: a function from a trial to its outcome."""
    space, budget, generation = {"lr": Range(0.001, 1, log=True)}, draw(st.integers(1, 24)), draw(st.integers(1, 8))
    rungs, score = (
        rungs_of(draw(st.integers(1, 100)), draw(st.integers(1, 5))),
        SCORES[draw(st.sampled_from(list(SCORES)))],
    )
    rules = Rules(space, {"lr": 0.1}, score, rungs, budget, "random", generation, draw(st.integers(0, 9)))
    salt, failing = draw(SEEDS), draw(st.sampled_from([0, 0.3]))

    def outcome(trial):
        random = Random(f"{salt}/{trial.number}/{trial.rung}")
        if random.random() < failing:
            return Outcome(trial, failed="out of memory")
        return Outcome(trial, scores={name: random.randint(0, 9) / 10 for name in score.names})

    return rules, outcome, failing > 0


def ended(rules, outcome, outcomes=(), random=None):
    """All outcomes of a search that goes on from ``outcomes``; with ``random``, some trials at a time in any order."""
    outcomes = list(outcomes)
    while trials := due(rules, outcomes):
        some = trials if random is None else random.sample(trials, random.randint(1, len(trials)))
        outcomes += map(outcome, some)
        assert len({(o.trial.number, o.trial.rung) for o in outcomes}) == len(outcomes), "a trial is made twice"
    return sorted(outcomes, key=lambda o: (o.trial.rung, o.trial.number))


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_each_rung_has_half_the_epochs_of_the_next(epochs, count):
    rungs = rungs_of(epochs, count)
    assert rungs[-1] == epochs and rungs[0] >= 1 and len(rungs) <= count
    assert all(low == math.ceil(high / 2) < high for low, high in zip(rungs, rungs[1:]))
    assert len(rungs) == count or rungs[0] == 1


@given(searches())
def test_the_better_half_goes_on_and_the_first_trial(search):
    rules, outcome, may_fail = search
    outcomes = ended(rules, outcome)
    there = [{o.trial.number: o for o in outcomes if o.trial.rung == rung} for rung in range(len(rules.rungs))]
    assert there[0].keys() == set(range(rules.budget))
    for rung, (before, after) in enumerate(zip(there, there[1:]), 1):
        able = {number for number, o in before.items() if o.scores is not None}
        assert after.keys() <= able and (0 in after) == (0 in able)
        others, places = len(after.keys() - {0}), min(len(able), math.ceil(rules.budget / 2**rung))
        assert places - 1 <= others <= places and (may_fail or len(after) >= places)
        if not rules.score.is_rank:
            (name,) = rules.score.names
            worst = min((before[n].scores[name] for n in after.keys() - {0}), default=math.inf)
            assert all(before[n].scores[name] <= worst for n in able - after.keys())


@given(searches(), SEEDS, st.integers(0, 10))
def test_kills_and_a_larger_budget_leave_no_trace(search, seed, more):
    rules, outcome, _ = search
    expected = ended(rules, outcome)
    assert ended(rules, outcome, random=Random(seed)) == expected
    larger = replace(rules, budget=rules.budget + more)
    at_once, grown = ended(larger, outcome), ended(larger, outcome, expected, Random(seed))
    assert {(o.trial.number, o.trial.rung) for o in at_once} <= {(o.trial.number, o.trial.rung) for o in grown}
    assert all(o in grown for o in at_once)
