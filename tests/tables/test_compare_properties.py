"""Paired differences against SciPy, and the best rows, for any scores."""

import warnings

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from cplearn_solo.tables.compare import best_row, best_rows, lead

SCORES = st.integers(-1000, 1000).map(lambda score: score / 1000)
BY_SEED = st.dictionaries(st.integers(0, 9), SCORES, min_size=3)


@given(BY_SEED, BY_SEED, st.floats(0.5, 0.99))
def test_the_interval_is_that_of_the_paired_t_test_over_shared_seeds(ours, theirs, level):
    shared = sorted(ours.keys() & theirs.keys())
    found, other = lead(ours, theirs, level=level), lead(theirs, ours, level=level)
    assert (found is None) == (len(shared) < 3)
    assume(found is not None)
    assert (found.low, found.mean, found.high) == pytest.approx((-other.high, -other.mean, -other.low))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of differences that are all the same
        test = ttest_rel([ours[seed] for seed in shared], [theirs[seed] for seed in shared])
        interval = test.confidence_interval(level)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-9)


@given(st.dictionaries(st.sampled_from("abcdef"), BY_SEED, min_size=2), SCORES, st.data())
def test_the_best_rows_depend_on_neither_unit_nor_order(rows, shift, data):
    means = [sum(scores.values()) / len(scores) for scores in rows.values()]
    assume(
        min(abs(a - b) for i, a in enumerate(means) for b in means[:i]) > 1e-9
    )  # the first of equal ones is the best
    found = best_rows(rows)
    assert best_row(rows) in found <= rows.keys()
    order = data.draw(st.permutations(list(rows)), "order")
    assert best_rows({name: rows[name] for name in order}) == found
    percent = {name: {seed: 100 * score + shift for seed, score in rows[name].items()} for name in rows}
    errors = {name: {seed: -score for seed, score in rows[name].items()} for name in rows}
    assert best_rows(percent) == found == best_rows(errors, lower=True)
