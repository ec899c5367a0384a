"""Paired differences against SciPy, and which rows are marked as the best."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from cplearn_solo.tables.compare import Lead, best_rows, lead


def by_seed(*values):
    return dict(enumerate(values))


@pytest.mark.parametrize("seeds", [3, 5, 20])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_interval_is_that_of_the_paired_t_test(seeds, level):
    ours, theirs = np.random.default_rng(seeds).normal(size=(2, seeds)).tolist()
    expected = ttest_rel(ours, theirs).confidence_interval(level)
    found = lead(by_seed(*ours), by_seed(*theirs), level=level)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.mean == pytest.approx(np.mean(ours) - np.mean(theirs))


def test_seeds_are_paired_by_number_and_need_three_in_common():
    ours, theirs = {0: 1.0, 1: 2.0, 2: 4.0, 7: 100.0}, {2: 3.0, 1: 1.0, 0: 0.0}
    assert lead(ours, theirs) == Lead(1.0, 1.0, 1.0)
    assert lead({0: 1.0, 1: 2.0}, theirs) is None and lead(ours, {0: 1.0, 1: 1.0, 9: 1.0}) is None


def test_rounding_is_no_difference():
    assert lead(by_seed(*[0.1 + 0.2] * 3), by_seed(*[0.3] * 3)) == Lead(0, 0, 0)


def test_the_best_and_what_cannot_be_told_from_it():
    rows = {
        "best": by_seed(0.90, 0.92, 0.94),
        "noisy": by_seed(0.80, 0.95, 0.90),  # on average 0.037 behind, but not surely
        "behind": by_seed(0.89, 0.91, 0.93),  # a hundredth behind with each seed
        "two seeds": by_seed(0.99, 0.99),
    }
    assert best_rows(rows) == {"best", "noisy"}
    assert best_rows({name: rows[name] for name in ("best", "behind")}, lower=True) == {"behind"}


def test_a_row_that_is_ahead_with_the_same_seeds_is_among_the_best():
    """The first has the higher mean by seeds that the second lacks."""
    rows = {"whole": by_seed(0.70, 0.71, 0.72, 0.95, 0.95, 0.95), "half": by_seed(0.75, 0.76, 0.77)}
    assert best_rows(rows) == {"whole", "half"}
    errors = {name: {seed: 1 - score for seed, score in scores.items()} for name, scores in rows.items()}
    assert best_rows(errors, lower=True) == {"whole", "half"}


@pytest.mark.parametrize("rows", [{}, {"a": by_seed(1, 2, 3)}, {"a": by_seed(1, 2), "b": by_seed(3, 4)}])
def test_nothing_is_best_without_three_seeds_of_two_rows(rows):
    assert best_rows(rows) == set()
