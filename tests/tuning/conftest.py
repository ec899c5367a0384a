"""Searches whose trials are a formula."""

from dataclasses import fields, replace

import pytest
from support.configs import PRETRAIN, shipped

from cplearn_solo.tuning.halving import Outcome, rungs_of
from cplearn_solo.tuning.plan import plan
from cplearn_solo.tuning.schema import TuneConfig
from cplearn_solo.tuning.scores import SCORES

SPACE = """
all:
  optimizer.lr: {times: [0.1, 10]}
cplearn:
  method_kwargs.beta: {choices: [0.25, 1.0]}
"""


@pytest.fixture
def planned(tmp_path):
    """Function from keys of a search, and of its trials, to what comes of them, checks included."""
    (tmp_path / "space.yaml").write_text(SPACE)

    def search(*, fixed=(), max_epochs=8, **keys):
        own = {field.name for field in fields(TuneConfig)} & keys.keys()
        request = {"space": str(tmp_path / "space.yaml"), **{key: keys.pop(key) for key in own}}
        raw = shipped("cplearn", max_epochs=max_epochs, **keys)
        return plan(TuneConfig(**request), raw, fixed=fixed, spaces=PRETRAIN.parent / "tune/spaces.yaml")

    return search


@pytest.fixture(scope="session")
def prototype(tmp_path_factory):
    """A search, planned once, as that takes a moment."""
    folder = tmp_path_factory.mktemp("prototype")
    (folder / "space.yaml").write_text(SPACE)
    request = TuneConfig(space=str(folder / "space.yaml"))
    return plan(request, shipped("cplearn", max_epochs=8), spaces=PRETRAIN.parent / "tune/spaces.yaml")


@pytest.fixture
def make(prototype, tmp_path):
    """Function from rules to a search by them with its results below ``tmp_path``."""

    def search(*, results=tmp_path / "results", score="linear_acc1", rungs=3, **rules):
        request = replace(prototype.request, results=str(results), score=score)
        rules = replace(prototype.rules, score=SCORES[score], rungs=rungs_of(8, rungs), **rules)
        return replace(prototype, request=request, rules=rules)

    return search


@pytest.fixture
def measure():
    """Function that stands for a training: best at lr 0.05 and beta 0.25; fails where the rate is largest."""

    def outcome(trial):
        lr, beta = trial.keys["optimizer.lr"], trial.keys["method_kwargs.beta"]
        if lr > 0.15:
            return Outcome(trial, failed="the loss is not finite", log="log.txt")
        score = 0.9 - abs(lr - 0.05) - 0.1 * beta + 0.01 * trial.rung
        return Outcome(trial, scores={"linear_acc1": score, "knn_acc1": beta, "kmeans_ami": lr}, seconds=1.0)

    return outcome
