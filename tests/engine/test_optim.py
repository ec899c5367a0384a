"""Learning rates and parameter groups by solo-learn's keys, against the formulas written out."""

import math

import pytest
import torch
from torch import nn

from cplearn_solo.config.schema import Config, OptimizerConfig, SchedulerConfig
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.messages import Notice
from cplearn_solo.engine.lars import LARS
from cplearn_solo.engine.optim import build_optimizer, build_scheduler, lr_scale


def rates(config, *, epochs, steps, lr=0.5, updates=None, **group):
    """The rate of one parameter group before each update."""
    optimizer = torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "lr": lr, **group}])
    scheduler = build_scheduler(optimizer, config, epochs=epochs, steps=steps)
    found = []
    for _ in range(updates or steps + 1):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_rates_scale_with_the_images_of_a_step():
    config = Config(optimizer=OptimizerConfig(batch_size=128), accumulate_grad_batches=3)
    assert lr_scale(config, 2) == 128 * 2 * 3 / 256


def test_warmup_is_linear_and_then_comes_half_a_cosine():
    config = SchedulerConfig(warmup_epochs=2, warmup_start_lr=0.1, min_lr=0.02)
    up = [0.1 + 0.4 * t / 6 for t in range(6)]
    down = [0.02 + 0.48 * (1 + math.cos(math.pi * t / 24)) / 2 for t in range(25)]
    assert rates(config, epochs=10, steps=30) == pytest.approx(up + down, rel=1e-12)
    assert rates(config, epochs=10, steps=30, updates=40)[30:] == pytest.approx([0.02] * 10)
    config.interval = "epoch"
    by_epoch = [0.1, 0.3, *(0.02 + 0.48 * (1 + math.cos(math.pi * t / 8)) / 2 for t in range(9))]
    assert rates(config, epochs=10, steps=30, updates=11) == pytest.approx(by_epoch, rel=1e-12)


def test_a_group_keeps_its_rate_where_it_is_static_or_zero():
    config = SchedulerConfig(warmup_epochs=1)
    assert set(rates(config, epochs=3, steps=6, static_lr=True)) == {0.5}
    assert set(rates(config, epochs=3, steps=6, lr=0.0)) == {0.0}


def test_a_warmup_of_the_whole_run_is_silent_and_a_longer_one_is_clipped():
    whole = SchedulerConfig(warmup_epochs=3, warmup_start_lr=0.1, min_lr=0.02)
    climb = [0.1 + 0.4 * t / 6 for t in range(7)]
    assert rates(whole, epochs=3, steps=6) == pytest.approx(climb)
    but_one = SchedulerConfig(warmup_epochs=2, warmup_start_lr=0.1, min_lr=0.02, interval="epoch")
    assert rates(but_one, epochs=3, steps=3) == pytest.approx([0.1, 0.3, 0.5, 0.02])
    with pytest.warns(Notice, match="scheduler.warmup_epochs = 5 clipped to the run's 3 epochs"):
        longer = rates(SchedulerConfig(warmup_epochs=5, warmup_start_lr=0.1, min_lr=0.02), epochs=3, steps=6)
    assert longer == pytest.approx(climb)


def test_step_divides_by_ten_from_each_milestone_on():
    config = SchedulerConfig(name="step", lr_decay_steps=[1, 3])
    assert rates(config, epochs=4, steps=8) == pytest.approx([0.5] * 2 + [0.05] * 4 + [0.005] * 3)
    assert set(rates(SchedulerConfig(name="step"), epochs=4, steps=8)) == {0.5}


def test_none_has_no_scheduler():
    assert build_scheduler(None, SchedulerConfig(name="none"), epochs=2, steps=4) is None


@pytest.mark.parametrize(
    ("name", "kwargs", "kind", "wanted"),
    [
        ("sgd", {}, torch.optim.SGD, {"momentum": 0.9, "fused": True}),
        ("sgd", {"momentum": 0.5}, torch.optim.SGD, {"momentum": 0.5}),
        ("adam", {"betas": (0.5, 0.9)}, torch.optim.Adam, {"betas": (0.5, 0.9), "fused": True}),
        ("adamw", {}, torch.optim.AdamW, {"fused": True}),
        ("lars", {}, LARS, {"trust_coeff": 1e-3, "trust_clip": False}),
        ("lars", {"eta": 0.02, "clip_lr": True}, LARS, {"trust_coeff": 0.02, "trust_clip": True}),
    ],
)
def test_each_optimizer_has_what_its_keys_say(name, kwargs, kind, wanted):
    config = OptimizerConfig(name=name, weight_decay=0.25, kwargs=kwargs)
    optimizer = build_optimizer([{"params": [nn.Parameter(torch.zeros(2, 2))]}], config, lr=0.125)
    (group,) = optimizer.param_groups
    assert type(optimizer) is kind and group["lr"] == 0.125 and group["weight_decay"] == 0.25
    assert {key: group[key] for key in wanted} == wanted
    if name != "lars":
        plain = build_optimizer([{"params": [nn.Parameter(torch.zeros(2, 2))]}], config, lr=0.125, fused=False)
        assert not plain.param_groups[0]["fused"]


@pytest.mark.parametrize(
    "excluded", [{"exclude_bias_n_norm_wd": True}, {"kwargs": {"exclude_bias_n_norm": True}, "name": "lars"}]
)
def test_biases_and_norms_are_a_group_without_decay_where_that_is_asked_for(excluded):
    network, alone = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), nn.Parameter(torch.zeros(2))
    groups = [{"params": network.parameters(), "lr": 0.5}, {"params": [alone], "weight_decay": 0.75}]
    config = OptimizerConfig(weight_decay=0.25, **excluded)
    found = build_optimizer(groups, config, lr=0.125).param_groups
    assert [(len(group["params"]), group["lr"], group["weight_decay"]) for group in found] == [
        (1, 0.5, 0.25),
        (3, 0.5, 0.0),
        (1, 0.125, 0.0),
    ]
    groups[0]["params"] = network.parameters()
    together = build_optimizer(groups, OptimizerConfig(weight_decay=0.25), lr=0.125).param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in together] == [(4, 0.25), (1, 0.75)]


def test_keywords_that_an_optimizer_does_not_have_are_named():
    with pytest.raises(InputError, match=r"optimizer.kwargs = {'momentun': 0.9}: sgd refuses them: .*momentun"):
        config = OptimizerConfig(name="sgd", kwargs={"momentun": 0.9})
        build_optimizer([{"params": [nn.Parameter(torch.zeros(1))]}], config, lr=0.1)
