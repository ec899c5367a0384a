from __future__ import annotations

import inspect
from dataclasses import replace
from functools import partial

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from torch import Tensor

from cplearn_solo.core.errors import InputError
from cplearn_solo.evaluation.heads import train_heads
from cplearn_solo.evaluation.paper_probe import paper_probe


def separable(n: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % classes
    return 5 * torch.eye(classes)[labels] + 0.3 * torch.randn(n, classes, generator=generator), labels


TOY = (*separable(400, 6, seed=0), *separable(120, 6, seed=1))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_separable_classes_are_learned(optimizer: str) -> None:
    result = paper_probe(*TOY, num_classes=6, epochs=10, optimizer=optimizer)
    assert (result.acc1, result.acc5, result.train_acc1) == (1.0, 1.0, 1.0)


def test_close_to_logistic_regression_on_digits() -> None:
    x, y = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(x / 16, y, random_state=0)
    result = paper_probe(train_x, train_y, test_x, test_y, num_classes=10)
    expected = LogisticRegression(C=1e4, max_iter=1000).fit(train_x, train_y).score(test_x, test_y)
    assert min(result.acc1, expected) > 0.9
    assert result.acc1 == pytest.approx(expected, abs=0.03)
    assert result.acc1 < result.acc5 <= 1
    assert result.train_acc1 > 0.98


def test_what_is_not_said_is_the_protocol_of_the_paper() -> None:
    """Appendix I: Adam, learning rate 1e-2 without a schedule, 100 epochs."""
    parameters = inspect.signature(paper_probe).parameters
    said = {name: parameters[name].default for name in ("optimizer", "lr", "epochs", "batch_size", "weight_decay")}
    assert said == {"optimizer": "adam", "lr": 1e-2, "epochs": 100, "batch_size": 256, "weight_decay": 0.0}


def by_autograd(x: Tensor, y: Tensor, rows: Tensor, *, lr: float, weight_decay: float, optimizer: str) -> Tensor:
    """Weights (6, 7), the bias last, after three epochs of batches of 128 in the order of seed 4."""
    layer = torch.nn.Linear(6, 6)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    build = {"adam": torch.optim.Adam, "sgd": partial(torch.optim.SGD, momentum=0.9)}[optimizer]
    reference = build(layer.parameters(), lr=lr, weight_decay=weight_decay)
    generator = torch.Generator().manual_seed(4)
    for _ in range(3):
        for batch in rows[torch.randperm(len(rows), generator=generator)].split(128):
            reference.zero_grad()
            torch.nn.functional.cross_entropy(layer(x[batch]), y[batch]).backward()
            reference.step()
    return torch.cat([layer.weight, layer.bias[:, None]], dim=1).detach()


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_rates_side_by_side_are_each_what_autograd_gives(optimizer: str, weight_decay: float) -> None:
    x, y = separable(300, 6, seed=2)
    rows = torch.arange(0, 300, 2).repeat(2)
    settings = {"weight_decay": weight_decay, "optimizer": optimizer}
    rates = [1e-3, 1e-2, 0.3]
    ours = train_heads(
        x, y, rows, rates, num_classes=6, epochs=3, batch_size=128, seed=4, epoch_done=lambda: None, **settings
    )
    wanted = torch.stack([by_autograd(x, y, rows, lr=lr, **settings) for lr in rates])
    torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-6)
    assert (wanted[0] - wanted[1]).abs().max() > 1e-3


def test_the_best_rate_on_held_out_rows_is_taken_and_trained_on_all() -> None:
    x, y = load_digits(return_X_y=True)
    split = (x[:900] / 16, y[:900], x[900:] / 16, y[900:])
    calls: list[tuple[int, int]] = []
    settings = {"num_classes": 10, "epochs": 5, "optimizer": "sgd", "seed": 3}
    chosen = paper_probe(*split, lr=[1e-5, 0.3, 1e38], progress=lambda *call: calls.append(call), **settings)
    assert chosen.lr == 0.3  # the first has hardly moved, the last diverges
    assert replace(chosen, lr=None) == paper_probe(*split, lr=0.3, **settings)
    assert calls == [(done, 10) for done in range(1, 11)]
    assert paper_probe(*split, lr=[0.3], **settings).lr is None
    mislabelled = (*split[:3], (split[3] + 1) % 10)  # the test labels have no say: on these 0.3 is the worst
    assert paper_probe(*mislabelled, lr=[1e-5, 0.3], **settings).lr == 0.3


def test_random_labels_score_chance() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(3000, 8, generator=generator), torch.randint(0, 10, (3000,), generator=generator)
    result = paper_probe(x[:2000], y[:2000], x[2000:], y[2000:], num_classes=10, epochs=10)
    assert result.acc1 == pytest.approx(0.1, abs=0.04)
    assert result.acc5 == pytest.approx(0.5, abs=0.06)


def test_seed_rules_the_result_and_the_global_generator_is_left_alone() -> None:
    x, y = load_digits(return_X_y=True)
    probe = [x[:900], y[:900], x[900:], y[900:]]
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = paper_probe(*probe, num_classes=10, epochs=2, batch_size=32, lr=0.1, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert paper_probe(*probe, num_classes=10, epochs=2, batch_size=32, lr=0.1, seed=1) == first
    assert paper_probe(*probe, num_classes=10, epochs=2, batch_size=32, lr=0.1, seed=2) != first


def test_few_classes_have_no_acc5_and_progress_is_told() -> None:
    split = (*separable(40, 4, seed=0), *separable(20, 4, seed=1))
    calls: list[tuple[int, int]] = []
    with torch.inference_mode():  # as Lightning's validation loop does
        result = paper_probe(*split, num_classes=4, epochs=3, progress=lambda *call: calls.append(call))
    assert result.acc5 is None
    assert result.acc1 > 0.9
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert paper_probe(*split, num_classes=5, epochs=1).acc5 == 1.0
    one = paper_probe([[1.0]], [0], [[2.0]], [0], num_classes=1, epochs=1)
    assert (one.acc1, one.acc5) == (1.0, None)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"train_y": TOY[1] - 1}, "train_y = -1: must be 0 or more"),
        ({"test_y": TOY[3] + 1}, "test_y = 6: must be below num_classes = 6"),
        ({"train_y": TOY[1][1:]}, r"train_y.shape = \(399,\): must be \(400,\), one for each row of train_x"),
        ({"test_x": TOY[2][:, 1:]}, r"test_x.shape = \(.*, 5\): must be \(n, 6\), with the dimension of train_x"),
        ({"test_x": torch.empty(0, 6), "test_y": []}, r"test_x.shape = \(0, 6\): must be \(n, d\)"),
        ({"optimizer": "lbfgs"}, "unknown optimizer 'lbfgs': choices are adam, sgd"),
        ({"epochs": 0}, "epochs = 0: must be an integer from 1"),
        ({"batch_size": "big"}, "batch_size = 'big': must be an integer from 1"),
        ({"num_classes": None}, "num_classes = None: must be an integer from 1"),
        ({"lr": -1.0}, "lr = -1.0: must be a finite number above 0"),
        ({"lr": [0.1, "fast"]}, "lr = 'fast': must be a finite number above 0"),
        ({"lr": []}, r"lr = \[\]: must be a number above 0, or a list of them"),
        ({"lr": [0.1, 1.0], "train_x": TOY[0][:9], "train_y": TOY[1][:9]}, "needs 10 training rows, here are 9"),
        ({"weight_decay": -1.0}, "weight_decay = -1.0: must be a finite number from 0"),
        ({"lr": 1e38, "optimizer": "sgd", "epochs": 20}, "diverge"),
    ],
)
def test_bad_input(change: dict, message: str) -> None:
    good = dict(zip(("train_x", "train_y", "test_x", "test_y"), TOY, strict=True), num_classes=6)
    with pytest.raises(InputError, match=message):
        paper_probe(**good | change)
