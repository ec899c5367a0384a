"""Recognising an image by another view of it, against a loop over pairs, and when a score is better than chance."""

import numpy as np
import pytest
import torch

from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics.learned import Compared, accuracy, not_learned
from cplearn_solo.metrics.own_view import Measured, own_view_accuracy

RANDOM = np.random.default_rng(0)
FIRST = RANDOM.normal(size=(40, 5))
SECOND = FIRST + RANDOM.normal(size=(40, 5))


def test_pairs_one_by_one():
    a, b = FIRST - FIRST.mean(0), SECOND - SECOND.mean(0)
    near = (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T
    right = [[near[i, j] < near[i, i] for j in range(40) if j != i] for i in range(40)]
    each = np.mean(right, axis=1)
    value, error = own_view_accuracy(FIRST, SECOND)
    assert value == pytest.approx(each.mean()) and error == pytest.approx(each.std(ddof=1) / np.sqrt(40))
    assert 0.6 < value < 1 and own_view_accuracy(FIRST, FIRST) == (1.0, 0.0)


def test_neither_shift_nor_scale_counts_and_features_that_are_alike_are_chance():
    assert own_view_accuracy(3 * FIRST + 7, SECOND - 2) == pytest.approx(own_view_accuracy(FIRST, SECOND))
    assert own_view_accuracy(torch.zeros(9, 4), torch.zeros(9, 4)) == (0.5, 0.0)


def test_two_images_are_enough_and_half_of_a_tie_is_right():
    """Around their mean two images lie opposite each other, so that each view is nearer to its own or to the other."""
    assert own_view_accuracy([[0.0], [1.0]], [[0.0], [2.0]]) == (1.0, 0.0)
    assert own_view_accuracy([[0.0], [1.0]], [[2.0], [0.0]]) == (0.0, 0.0)
    one_of_two_others_is_as_near = own_view_accuracy([[1.0], [1.0], [-2.0]], [[1.0], [1.0], [-2.0]])
    assert one_of_two_others_is_as_near.value == pytest.approx((3 / 4 + 3 / 4 + 1) / 3)


def test_bad_input():
    with pytest.raises(InputError, match="one for each row of first"):
        own_view_accuracy(FIRST, SECOND[:5])
    with pytest.raises(InputError, match="n >= 2"):
        own_view_accuracy(FIRST[:1], SECOND[:1])


def labelled(value, random=0.5, chance=0.1, n=400):
    return Compared("kNN", accuracy(value, n), random and accuracy(random, n), chance)


def views(value, random, error=0.01):
    return Compared("recognised views", Measured(value, error), Measured(random, error), 0.5)


def test_labels_at_chance_are_told_whatever_views_say():
    reason = not_learned([labelled(0.12)], views(0.9, 0.6))
    assert reason == "kNN 0.120, and 0.100 by naming the most frequent class"
    assert not not_learned([labelled(0.12), labelled(0.6)], views(0.9, 0.6))  # one of them is enough
    assert not not_learned([labelled(0.6, random=None, chance=None)], None)


def test_random_weights_must_be_beaten_by_views_or_labels():
    assert not not_learned([], views(0.7, 0.6))
    reason = not_learned([], views(0.61, 0.6))
    assert reason == "recognised views 0.610 (random weights 0.600)"
    assert "kNN 0.520 (random weights 0.500)" in not_learned([labelled(0.52)], views(0.5, 0.6))
    assert not not_learned([labelled(0.7)], views(0.5, 0.6))
    assert not not_learned([], None) and not not_learned([labelled(0.5)], None)


def test_random_weights_that_recognise_everything_leave_it_open():
    assert not not_learned([labelled(0.5)], views(0.985, 0.99))
    assert not_learned([labelled(0.5)], views(0.95, 0.95)).startswith("recognised views 0.950")  # 1 is clearly better


@pytest.mark.parametrize("above, learned", [(1.9, False), (2.1, True)])
def test_clearly_is_two_standard_errors_of_the_difference(above, learned):
    assert bool(not_learned([], views(0.6 + above * np.hypot(0.01, 0.01), 0.6))) != learned
