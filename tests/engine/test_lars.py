"""LARS makes timm's updates, by a number of operations that does not grow with the number of parameters."""

import copy
import io

import pytest
import torch
from timm.optim import Lars
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from cplearn_solo.engine.lars import LARS


def network():
    """Channels-last and plain weights, vectors, a scalar, a weight of zeros, and one that has no gradient."""
    torch.manual_seed(0)
    model = nn.ModuleDict({"conv": nn.Conv2d(3, 8, 3), "linear": nn.Linear(8, 5), "unused": nn.Linear(2, 2)})
    model.conv.to(memory_format=torch.channels_last)
    model.scale = nn.Parameter(torch.tensor(2.0))
    model.zeros = nn.Parameter(torch.zeros(5, 5))
    return model


def forward(model, x):
    feats = model.conv(x).relu().mean(dim=(2, 3))
    return (model.scale * model.linear(feats)) @ model.zeros + model.linear(feats)


def groups(model):
    params = [p for name, p in model.named_parameters()]
    return [
        {"params": [p for p in params if p.ndim > 1]},
        {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
    ]


OPTIONS = [
    {},
    {"trust_clip": True},
    {"trust_coeff": 0.02, "trust_clip": True, "momentum": 0.0},
    {"always_adapt": True, "nesterov": True},
]


def train(model, optimizer, steps):
    generator = torch.Generator().manual_seed(1)
    for step in steps:
        x, y = (torch.randn(16, *shape, generator=generator) for shape in ((3, 6, 6), (5,)))
        if step % 5 == 4:
            model.linear.requires_grad_(False)  # as methods freeze a layer for a while
        optimizer.zero_grad()
        (forward(model, x) - y).square().mean().backward()
        model.linear.requires_grad_(True)
        for group in optimizer.param_groups:
            group["lr"] = 0.5 / (1 + step)
        optimizer.step()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_twenty_updates_are_those_of_timm(options):
    settings = {"lr": 0.5, "momentum": 0.9, "weight_decay": 1e-3, **options}
    ours, theirs = network(), network()
    train(ours, LARS(groups(ours), **settings), range(20))
    train(theirs, Lars(groups(theirs), **settings), range(20))
    start = network().state_dict()
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)
        assert torch.equal(a, start[name]) == name.startswith("unused")


def test_a_run_that_was_begun_with_timm_goes_on():
    settings = {"lr": 0.5, "momentum": 0.9, "weight_decay": 1e-3}
    ours, theirs = network(), network()
    begun, optimizer = Lars(groups(theirs), **settings), LARS(groups(ours), **settings)
    train(theirs, begun, range(4))
    file = io.BytesIO()
    torch.save(begun.state_dict(), file)
    file.seek(0)
    ours.load_state_dict(theirs.state_dict())
    optimizer.load_state_dict(torch.load(file, weights_only=True))
    train(ours, optimizer, range(4, 8))
    train(theirs, begun, range(4, 8))
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


class Count(TorchDispatchMode):
    operations = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.operations += function not in VIEWS
        return function(*args, **(kwargs or {}))


VIEWS = (torch.ops.aten.as_strided.default, torch.ops.aten.detach.default)


def operations(layers):
    model = nn.Sequential(*[nn.Linear(4, 4) for _ in range(layers)])
    optimizer = LARS(model.parameters(), lr=0.1, weight_decay=1e-3, trust_clip=True)
    for _ in range(2):
        model(torch.randn(2, 4)).sum().backward()
        optimizer.step()
    with Count() as count:
        optimizer.step()
    return count.operations


def test_more_parameters_take_no_more_operations():
    assert operations(30) == operations(3) < 30


def test_a_rate_on_the_device_is_as_good_as_a_number():
    """A captured step has such a one."""
    models = [network() for _ in range(2)]
    optimizers = [LARS(groups(model), lr=0.5, weight_decay=0.1, trust_clip=True) for model in models]
    for number in range(3):
        x = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(number))
        for model, optimizer, kind in zip(models, optimizers, (float, torch.tensor)):
            for group in optimizer.param_groups:
                group["lr"] = kind(0.5 / (number + 1))
            optimizer.zero_grad()
            forward(model, x).square().sum().backward()
            optimizer.step()
    for p, q in zip(*(model.parameters() for model in models)):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


def test_a_copy_steps_as_the_original():
    parameter = torch.nn.Parameter(torch.ones(3, 3))
    one = LARS([parameter], lr=0.1, weight_decay=0.1)
    two = copy.deepcopy(one)
    for optimizer in (one, two):
        (ours,) = optimizer.param_groups[0]["params"]
        ours.grad = torch.ones(3, 3)
        optimizer.step()
    assert torch.equal(parameter, ours) and ours is not parameter and parameter[0, 0] < 1
