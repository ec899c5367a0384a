from __future__ import annotations

from functools import partial

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from cplearn_solo.core.errors import InputError
from cplearn_solo.evaluation import convex, linear
from cplearn_solo.evaluation.convex import LogisticRegression as Ours
from cplearn_solo.evaluation.linear import linear_probe
from cplearn_solo.evaluation.paper_probe import paper_probe

X, Y = load_digits(return_X_y=True)
DIGITS = (X[:900], Y[:900], X[900:], Y[900:])


def unequal(n: int, d: int, seed: int) -> tuple[Tensor, Tensor]:
    """Correlated features whose directions differ a thousandfold, and labels of three classes that overlap."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 3, (n,), generator=generator)
    mix = torch.randn(d, d, generator=torch.Generator().manual_seed(9)) * torch.logspace(0, -3, d)[:, None]
    x = torch.randn(n, d, generator=generator)
    x[:, :3] += torch.eye(3)[y]
    return x @ mix, y


@pytest.mark.parametrize("decorrelated", [True, False])
def test_the_minimum_is_that_of_scikit_learn(decorrelated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convex, "MAX_DECORRELATED", 4096 if decorrelated else 0)
    x, y = unequal(400, 8, seed=0)
    l2 = 1e-3
    found = Ours(x, y, 3).solve(l2)
    z = StandardScaler().fit_transform(x.double())
    theirs = LogisticRegression(C=1 / (l2 * len(x)), tol=1e-8, max_iter=10_000).fit(z, y)
    ours = found.weights[:, :-1] - found.weights[:, :-1].mean(dim=0)  # equal in all classes, they change no probability
    torch.testing.assert_close(ours.double(), torch.tensor(theirs.coef_), rtol=1e-2, atol=1e-2)
    log_likelihood = theirs.predict_log_proba(z)[torch.arange(len(y)), y].mean()
    assert found.loss == pytest.approx(l2 / 2 * (theirs.coef_**2).sum() - log_likelihood, abs=1e-6)


def test_decorrelated_coordinates_take_fewer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = unequal(400, 64, seed=0)
    steps = []
    for limit in (4096, 0):
        monkeypatch.setattr(convex, "MAX_DECORRELATED", limit)
        problem = Ours(x, y, 3)
        looks, at = [], problem._at
        problem._at = lambda *place, looks=looks, at=at: looks.append(1) or at(*place)
        problem.solve(1e-4)
        steps.append(len(looks))
    assert steps[0] < steps[1] / 2


def test_rows_that_are_held_out_are_scored_and_do_not_count() -> None:
    x, y = unequal(300, 6, seed=0)
    others = torch.arange(300) % 3 == 0
    problem = Ours(x, y, 3, others)
    found = problem.solve(1e-2)
    mislabelled = Ours(x, torch.where(others, (y + 1) % 3, y), 3, others).solve(1e-2)
    assert torch.equal(found.weights, mislabelled.weights) and found.other_loss < mislabelled.other_loss
    logits = problem.scale.standardise(x[others]) @ found.weights[:, :-1].T + found.weights[:, -1]
    assert found.other_loss == pytest.approx(torch.nn.functional.cross_entropy(logits, y[others]).item(), abs=1e-5)


def test_blocks_of_rows_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = unequal(300, 6, seed=0)
    whole = Ours(x, y, 3).solve(1e-2)
    monkeypatch.setitem(convex.BLOCKS, "cpu", 7 * 9)
    problem = Ours(x, y, 3)
    assert problem.rows == 7
    torch.testing.assert_close(problem.solve(1e-2).weights, whole.weights, rtol=1e-3, atol=1e-3)
    monkeypatch.setitem(convex.BLOCKS, "cpu", 1)
    assert Ours(x, y, 3).rows == 1  # however many dimensions


def test_close_to_logistic_regression_with_the_penalty_that_was_chosen() -> None:
    result = linear_probe(*DIGITS, num_classes=10)
    scaler = StandardScaler().fit(DIGITS[0])
    theirs = LogisticRegression(C=1 / (result.l2 * 900), tol=1e-6, max_iter=10_000)
    expected = theirs.fit(scaler.transform(DIGITS[0]), DIGITS[1]).score(scaler.transform(DIGITS[2]), DIGITS[3])
    assert result.acc1 == pytest.approx(expected, abs=0.003) and expected > 0.9
    assert result.l2 in linear.STRENGTHS[1:-1] and not result.note
    assert result.acc1 < result.acc5 <= 1


@pytest.mark.parametrize("scale, shift", [(1e-3, 0.0), (1e4, 0.0), (1.0, 100.0), (1e3, -1e4)])
def test_shift_and_scale_of_each_dimension_change_nothing(scale: float, shift: float) -> None:
    x, y = unequal(500, 8, seed=0)
    test_x, test_y = unequal(500, 8, seed=1)
    probe = partial(linear_probe, train_y=y, test_y=test_y, num_classes=3)
    expected = probe(x, test_x=test_x)
    each = scale * torch.linspace(1, 50, 8)
    found = probe(x.double() * each + shift, test_x=test_x.double() * each + shift)
    assert found.acc1 == pytest.approx(expected.acc1, abs=0.003) and found.l2 == expected.l2
    assert expected.acc1 > 0.45


def test_the_paper_probe_measures_scale_and_this_one_does_not() -> None:
    train, test = unequal(600, 8, seed=0), unequal(600, 8, seed=1)
    large = (1e4 * train[0], train[1], 1e4 * test[0], test[1])
    small = (1e-5 * train[0], train[1], 1e-5 * test[0], test[1])
    paper = [paper_probe(*split, num_classes=3, epochs=20).train_acc1 for split in (large, small)]
    ours = [linear_probe(*split, num_classes=3).train_acc1 for split in (large, small)]
    assert abs(ours[0] - ours[1]) < 0.003 < abs(paper[0] - paper[1])


def test_the_held_out_rows_choose_and_the_test_rows_have_no_say() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(100, 80, generator=generator), torch.randint(0, 2, (100,), generator=generator)
    noise = linear_probe(x, y, x, y, num_classes=2)
    assert noise.l2 >= 0.1  # nothing to learn: the weaker the penalty, the worse on other rows
    assert linear_probe(x, y, x, 1 - y, num_classes=2).l2 == noise.l2
    assert linear_probe(*DIGITS, num_classes=10).l2 < 0.1


def test_constant_dimensions_count_nothing_and_constant_features_give_the_largest_class() -> None:
    x, y = unequal(300, 6, seed=0)
    constant = torch.full((300, 2), 1e5)
    expected = linear_probe(x, y, x, y, num_classes=3)
    found = linear_probe(torch.cat([x, constant], dim=1), y, torch.cat([x, constant], dim=1), y, num_classes=3)
    assert found.acc1 == pytest.approx(expected.acc1, abs=0.003)
    largest = int(y.bincount().max()) / len(y)
    assert linear_probe(constant, y, constant, y, num_classes=3).acc1 == pytest.approx(largest)


def test_penalties_that_are_tried_are_powers_of_ten() -> None:
    """``l2`` of kept scores is one of them."""
    tried = linear.STRENGTHS
    assert tried == pytest.approx((1, 0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8), rel=1e-12)
    assert linear.FEW_ROWS_STRENGTH == 1e-2 and linear.HELD_OUT == 10
    enough = [linear_probe(x[:n], y[:n], x, y, num_classes=3).l2 for x, y in [unequal(30, 3, seed=0)] for n in (9, 10)]
    assert enough[0] == 1e-2 and enough[1] in linear.STRENGTHS


def test_few_rows_classes_and_inference_mode() -> None:
    calls: list[tuple[int, int]] = []
    with torch.inference_mode():  # as Lightning's validation loop does
        result = linear_probe(*DIGITS, num_classes=10, progress=lambda *call: calls.append(call))
    assert result == linear_probe(*DIGITS, num_classes=10, seed=0)
    assert calls[0] == (1, 10) and calls[-1] == (10, 10) and sorted(calls) == calls
    one = linear_probe([[1.0]], [0], [[2.0]], [0], num_classes=1)
    assert (one.acc1, one.acc5, one.l2) == (1.0, None, linear.FEW_ROWS_STRENGTH)


def test_a_search_that_was_cut_short_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convex, "MAX_STEPS", 1)
    assert linear_probe(*DIGITS, num_classes=10).note.startswith("not converged: the largest entry of its gradient")


def test_bad_input() -> None:
    with pytest.raises(InputError, match="test_y = 9: must be below num_classes = 9"):
        linear_probe(X[:10], Y[:10] % 9, *DIGITS[2:], num_classes=9)
