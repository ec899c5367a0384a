"""Methods as others write them: what they take is found however their constructors say it."""

from __future__ import annotations

import typing
import warnings
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, NewType

import pytest
import torch
from support.configs import shipped
from torch import nn

from cplearn_solo.collapse.released import _embeddings
from cplearn_solo.config import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.messages import Notice
from cplearn_solo.engine.epoch import CodesInUse
from cplearn_solo.engine.find import CHECKPOINT_KEY
from cplearn_solo.engine.networks import check_networks
from cplearn_solo.inference.pretrained import trained_config
from cplearn_solo.methods import METHODS, Method, build_method, catalog, frozen_statistics, method_facts, registry
from cplearn_solo.methods.barlow_twins import BarlowTwins
from cplearn_solo.methods.cplearn import CPLearn
from cplearn_solo.methods.parts import checked_parts

if TYPE_CHECKING:
    from decimal import Decimal

Positive = NewType("Positive", float)


class Sum(Method):
    def loss(self, views):
        return {"loss": sum(feats.mean() for feats in views.feats)}


class HandsOn(CPLearn):
    def __init__(self, features_dim, *, extra: float = 1.0, eps: float = 1e-4, **kwargs):
        super().__init__(features_dim, eps=eps, **kwargs)


class Positional(Sum):
    def __init__(self, features_dim, batch_size, temperature: float = 0.1):
        super().__init__(features_dim, batch_size=batch_size)


class Needs(Sum):
    def __init__(self, features_dim, *, batch_size, num_codes: int, share: Decimal | None = None, beta: float = 1.0):
        super().__init__(features_dim, batch_size=batch_size)


class Odd(Sum):
    def __init__(
        self,
        features_dim,
        *,
        batch_size,
        hidden_dim: list[int] | None = None,
        pool_dim: str = "x",
        some: typing.List = (),  # noqa: UP006
        weight: Positive = 1.0,
    ):
        super().__init__(features_dim, batch_size=batch_size)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    ours = {"hands_on": HandsOn, "positional": Positional, "needs": Needs, "odd": Odd, "sum": Sum}
    for name, method in ours.items():  # a copy of the registry would lose what is imported meanwhile
        monkeypatch.setitem(METHODS._items, name, method)


def build(name, **given):
    return build_method(name, 16, batch_size=4, method_kwargs=given)


def test_arguments_that_are_handed_on_are_those_of_the_base():
    facts, base = method_facts("hands_on"), method_facts("cplearn")
    assert facts.arguments == {**base.arguments, "extra": float}
    assert facts.defaults == {**base.defaults, "extra": 1.0, "eps": 1e-4}
    assert build("hands_on", beta=0.5, extra=2).beta == 0.5
    with pytest.raises(InputError, match="did you mean 'beta'"):
        build("hands_on", bta=1)


def test_arguments_need_no_star():
    assert method_facts("positional").defaults == {"temperature": 0.1} and method_facts("sum").arguments == {}
    build("positional", temperature=0.2)


def test_an_argument_without_a_default_has_to_be_given():
    with pytest.raises(InputError, match="method_kwargs.num_codes is missing: method 'needs' has no default for it"):
        build("needs")
    assert "num_codes" not in method_facts("needs").defaults
    build("needs", num_codes=3, share=0.5)
    with pytest.raises(InputError, match="method_kwargs.beta = 'x': must be of type float"):
        build("needs", num_codes=3, beta="x")  # although a type beside it is there for type checkers only


@pytest.mark.parametrize("given", [{"hidden_dim": [8, 4]}, {"pool_dim": "y"}, {"some": [1]}, {"weight": 2.0}])
def test_any_annotation_may_stand_there(given):
    build("odd", **given)


TEXT = """
@METHODS.register("plain")
class Plain(Method):
    def __init__(self, features_dim, *, batch_size, eps: float = 1e-3):
        ...

@METHODS.register("inherits")
class Inherits(Plain):
    ...

@METHODS.register("hands_on")
class HandsOn(Plain):
    def __init__(self, features_dim, *, extra=1, **kwargs):
        ...

@METHODS.register("positional")
class Positional(Method):
    def __init__(self, features_dim, batch_size, eps=1e-3):
        ...

@METHODS.register("named")
class Named(Method):
    def __init__(self, features_dim, *, batch_size, eps=EPS):
        ...

@METHODS.register("typed")
class Typed(Method):
    def __init__(self, features_dim, *, batch_size, eps: Decimal = 1):
        ...
"""


def test_only_what_the_text_says_plainly_is_read_from_it(tmp_path, monkeypatch):
    (tmp_path / "some.py").write_text(TEXT)
    monkeypatch.setattr(catalog, "HERE", tmp_path)
    found = catalog._ours.__wrapped__()
    assert found.keys() == {"plain"} and found["plain"].defaults == {"eps": 1e-3}


def importers(monkeypatch, *plugins):
    """What finds methods where packages have these entry points."""
    points = [EntryPoint(*plugin, registry.GROUP) for plugin in plugins]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    return registry._importers()


@pytest.mark.parametrize(
    "plugins, reason",
    [
        ([("mine", "b:Mine"), ("mine", "a:Mine")], "several packages have one of that name: a:Mine, b:Mine"),
        ([("mine", "json:JSONDecoder")], "json:JSONDecoder is no subclass of cplearn_solo.methods.Method"),
        ([("mine", "json")], "json is no subclass of cplearn_solo.methods.Method"),
    ],
)
def test_an_entry_point_that_is_no_method_or_not_the_only_one_is_a_line(plugins, reason, monkeypatch):
    with pytest.raises(InputError) as error:
        importers(monkeypatch, *plugins)["mine"]()
    assert str(error.value) == f"method = 'mine': {reason}"


def test_an_entry_point_that_is_listed_twice_is_one(monkeypatch):
    plugin = ("mine", "cplearn_solo.methods.simclr:SimCLR")
    assert importers(monkeypatch, plugin, plugin)["mine"]() is METHODS["simclr"]


def test_a_method_of_the_name_of_a_shipped_one_is_passed_over_with_a_word(monkeypatch):
    found = importers(monkeypatch, ("simclr", "mine:SimCLR"))
    with pytest.warns(Notice, match="'simclr' is the one of this package, not mine:SimCLR, which needs another name"):
        found["simclr"]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found["byol"]()


def test_a_run_of_a_method_that_is_not_installed_says_so():
    with pytest.raises(InputError, match="^method = 'gone': must be of a package that is installed, and the one"):
        trained_config({CHECKPOINT_KEY: {"config": {"method": "gone"}}})


def test_a_network_that_is_evaluated_stays_so():
    network = nn.Sequential(nn.BatchNorm1d(4), nn.BatchNorm1d(4).eval())
    with frozen_statistics(network):
        assert not any(part.training for part in network.modules())
    assert [part.training for part in network.modules()] == [True, True, False]


def test_codes_that_no_step_says_are_not_counted():
    codes = CodesInUse(4)
    assert codes.counts() == {}
    codes.add(torch.tensor([2, 2, 0]))
    assert codes.counts() == {"codes_used": 2}


def test_a_subclass_with_a_projector_of_its_own_has_its_output_for_h():
    class Linear(BarlowTwins):
        def __init__(self, features_dim, **kwargs):
            super().__init__(features_dim, **kwargs)
            self.projector = nn.Linear(features_dim, 3)

    method = Linear(5, batch_size=4)
    feats = torch.randn(4, 5)
    assert torch.equal(_embeddings(method, feats), method.projector(feats))


class NoLoss(Method):
    pass


class NoTeacher(Sum):
    teacher = "projektor"


@pytest.mark.parametrize(
    "cls, words",
    [
        (NoLoss, "method 'other': NoLoss does not define loss"),
        (Sum, r"Sum has no projector: it must override embed\(feats\)"),
        (NoTeacher, "NoTeacher: teacher = 'projektor': must be the name of one of its submodules"),
    ],
)
def test_what_a_method_lacks_is_told_before_it_is_trained(cls, words, monkeypatch):
    monkeypatch.setitem(METHODS._items, "other", cls)
    config = parse_config({**shipped("simclr"), "method": "other", "method_kwargs": {}, "momentum": {"base_tau": 0.9}})
    with pytest.raises(InputError, match=words):
        check_networks(config)


@pytest.mark.parametrize(
    "gives, words",
    [
        (None, "loss\\(\\) gives a NoneType: must be a dict"),
        ({}, "loss\\(\\) gives \\[\\]: 'loss' is missing"),
        ({"loss": torch.zeros(1)}, "part 'loss' of the loss has shape \\(1,\\): must be a scalar"),
        ({"loss": 1.0}, "part 'loss' of the loss is a float: must be a tensor"),
        ({"loss": torch.zeros(())}, "the loss has no gradient"),
        ({"loss": torch.zeros(()), "codes": torch.zeros(4)}, "codes of shape \\(4,\\) and torch.float32"),
    ],
)
def test_what_a_loss_gives_is_checked_by_hosts(gives, words):
    with pytest.raises(InputError, match=f"method 'mine': .*{words}"):
        checked_parts("mine", gives)
    good = {"loss": torch.zeros((), requires_grad=True), "codes": torch.zeros(4, dtype=torch.int64)}
    assert checked_parts("mine", good) is good


def test_codes_that_a_method_does_not_have_are_told():
    with pytest.raises(InputError, match="codes_total is None"):
        CodesInUse(None).add(torch.zeros(4, dtype=torch.int64))
    with pytest.raises(InputError, match="out of range: must be 0 to 2"):
        CodesInUse(3).add(torch.full((4,), 3))
