"""The verdict in a summary: what it is made of, and what comes before what."""

from types import SimpleNamespace

import pytest
import torch

from cplearn_solo.core.words import HEALTHY, NOT_LEARNED, TOO_EARLY
from cplearn_solo.evaluation import summary as module
from cplearn_solo.metrics.own_view import Measured
from cplearn_solo.metrics.verdict import Verdict

FINE = {"spread": 0.9, "stable_rank": 3.0, "code_use": 0.9, "told_apart": 9.0, "within_code": 0.5}
JUDGED = SimpleNamespace(x=torch.zeros(400, 2), y=torch.tensor([0] * 200 + [-1] * 200))
POOR = {"knn_acc1": 0.11, "chance": {"knn_acc1": 0.1}}


@pytest.fixture
def verdict(monkeypatch):
    """The verdict on measures, where nothing was trained and no advice is looked for."""
    monkeypatch.setattr(module, "advised", lambda verdict, *_: verdict)
    monkeypatch.setattr(module, "read_derived", lambda path: {"steps_per_epoch": 4})

    def of(measures=FINE, told=(1.0, 1.0, 1.0), early="", stopped_for=None, scores=POOR, views=()):
        monkeypatch.setattr(module, "measured", lambda *_: measures)
        monkeypatch.setattr(module, "too_early", lambda config, epochs, steps: early and f"{early} {epochs} of {steps}")
        network = SimpleNamespace(method=None, config=SimpleNamespace(seed=0, max_steps=None), device="cpu")
        trained = SimpleNamespace(module=network, stopped_for=stopped_for, run=SimpleNamespace(path=None))
        rows = [{"epoch": epoch, "collapse_told_apart": value} for epoch, value in enumerate(told)]
        return module._verdict(trained, JUDGED, scores, rows, list(views))

    return of


@pytest.mark.parametrize(
    "told, name",
    [
        ((4.0, 1.0, 1.1), "cluster"),
        ((1.0, 4.0, 1.1), "cluster"),
        ((1.51, 1.2, 1.37), "cluster"),
        ((1.51, 1.2, 1.38), NOT_LEARNED),  # a tenth less is no collapse
        ((1.49, 1.2, 1.0), NOT_LEARNED),  # they have told nothing apart
        ((1.0, 1.0, 4.0), NOT_LEARNED),
        ((None, None, None), "cluster"),
    ],
)
def test_codes_have_collapsed_if_they_have_told_samples_apart(verdict, told, name):
    assert verdict({**FINE, "told_apart": 1.1}, told=told).name == name


def test_scores_at_chance_count_where_nothing_has_collapsed(verdict):
    assert verdict().name == NOT_LEARNED and "kNN 0.110" in verdict().reason
    assert verdict(scores={}).name == HEALTHY
    assert verdict({**FINE, "spread": 0.01}).name == "representation"
    alike = (Measured(0.6, 0.01), Measured(0.6, 0.01))
    assert verdict(scores={}, views=alike).name == NOT_LEARNED


def test_too_early_comes_first_and_then_the_collapse_that_ended_the_run(verdict):
    ended = Verdict("cluster", "one code", "", FINE)
    assert verdict(stopped_for=ended) is ended
    early = verdict(early="epochs:", stopped_for=ended)
    assert early.name == TOO_EARLY and early.reason == "epochs: 3 of 12" and early.measures == FINE


def test_views_are_beside_scores_with_those_of_random_weights_and_chance(monkeypatch):
    monkeypatch.setattr(module, "random_module", lambda *_: SimpleNamespace(backbone="random"))
    monkeypatch.setattr(module, "device_after_training", lambda config: "cpu")
    asked = []
    monkeypatch.setattr(module, "own_views", lambda *given: asked.append(given) or [Measured(0.8, 0), Measured(0.6, 0)])
    network = SimpleNamespace(backbone="trained", config="config")
    summary = {"chance": {"knn_acc1": 0.1}}
    for test, images in ((None, "train"), ("test", "test")):
        trained = SimpleNamespace(splits=SimpleNamespace(train="train", test=test), module=network)
        assert module._own_views(trained, summary) == [Measured(0.8, 0), Measured(0.6, 0)]
        assert asked.pop() == (["trained", "random"], images, "config", "cpu")
    chance = {"knn_acc1": 0.1, "own_view_acc": 0.5}
    assert summary == {"own_view_acc": 0.8, "random_backbone": {"own_view_acc": 0.6}, "chance": chance}
