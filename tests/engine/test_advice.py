"""Advice: keys and values of the run at hand, never as they are already."""

import re
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf
from support.configs import DIGITS, shipped

from cplearn_solo.config.read import parse_config
from cplearn_solo.core.words import HEALTHY, NOT_LEARNED, TOO_EARLY
from cplearn_solo.engine.advice import MOST, advised, changes
from cplearn_solo.methods import METHODS, build_method
from cplearn_solo.metrics.verdict import CRITERIA, Verdict, verdict_of

FINE = {"spread": 0.9, "code_use": 0.9, "told_apart": 9.0, "stable_rank": 3.0, "within_code": 0.5}
VERDICTS = {criterion.measure: verdict_of({**FINE, criterion.measure: criterion.limit / 2}) for criterion in CRITERIA}
VERDICTS["never told apart"] = verdict_of({**FINE, "told_apart": 1.1}, told_more=False)
VERDICTS["no better"] = Verdict(NOT_LEARNED, "kNN 0.1", "", FINE)
DERIVED = {"steps_per_epoch": 4, "devices": 1}
LONG = {"steps_per_epoch": 1000, "devices": 1}

# Configurations in which something is to blame, or would be but for another key.
HADAMARD = {"method_kwargs.dictionary": "hadamard"}
CASES = [(name, {}) for name in DIGITS] + [
    ("cplearn", {"method_kwargs.beta": 10.0}),
    ("cplearn", {"method_kwargs.beta": 0.0, "method_kwargs.proj_output_dim": 4096}),
    ("cplearn", {"method_kwargs.beta": 0.5, "method_kwargs.eps": 0.02, "method_kwargs.proj_output_dim": 10}),
    ("cplearn", {"method_kwargs.beta": "auto", "method_kwargs.proj_output_dim": 4096}),
    ("cplearn", {"method_kwargs.proj_output_dim": 4096, "method_kwargs.proj_hidden_dim": 2048}),
    ("cplearn", {"method_kwargs.proj_output_dim": 4, "method_kwargs.prior": [0.4, 0.3, 0.2, 0.1]}),
    ("cplearn", {"method_kwargs.prior": "power_law"}),
    ("cplearn", {"method_kwargs.prior": "power_law", "method_kwargs.prior_power": 1.0}),
    ("cplearn", {**HADAMARD, "method_kwargs.proj_hidden_dim": 32, "method_kwargs.proj_output_dim": 32}),
    ("cplearn", {**HADAMARD, "method_kwargs.proj_hidden_dim": 256, "method_kwargs.proj_output_dim": 256}),
    ("cplearn", {"method_kwargs.linear_bn": False, "method_kwargs.proj_hidden_dim": 256}),
    ("cplearn", {"max_epochs": 200, "augmentations.0.color_jitter.prob": 0, "augmentations.0.rrc.crop_min_scale": 0.9}),
    ("cplearn", {"augmentations.0.color_jitter.prob": 0, "augmentations.0.rrc.enabled": False}),
    ("cplearn", {"augmentations": [{"random_crop": {"enabled": True}, "rrc": {"enabled": False}, "num_crops": 2}]}),
    ("vicreg", {"method_kwargs.var_loss_weight": 0, "method_kwargs.cov_loss_weight": 0.0}),
    ("mcr2", {"method_kwargs.rate": "variational", "method_kwargs.num_clusters": 10}),
    ("self_classifier", {"method_kwargs.projector": "cplearn"}),
    ("simsiam", {"method_kwargs.stop_gradient": False}),
    ("byol", {"momentum.base_tau": 0.0}),
    ("byol", {"momentum.base_tau": 1.0, "optimizer.lr": 100}),
    ("simclr", {"optimizer.lr": 1e-7, "optimizer.name": "sgd"}),
]
composed = cache(shipped)


def configured(name, overrides):
    raw = OmegaConf.create(composed(name))
    for key, value in overrides.items():
        OmegaConf.update(raw, key, value, force_add=True)
    return parse_config(OmegaConf.to_container(raw))


def built(config):
    """Its method on features of a width that it allows."""
    given = config.method_kwargs
    width = 16 if given.get("linear_bn", True) else given["proj_hidden_dim"]
    return build_method(config.method, width, batch_size=config.optimizer.batch_size, method_kwargs=given)


def present(config, key):
    """Its value; a keyword of the method that is not said has its default."""
    value = OmegaConf.select(OmegaConf.create(config.plain()), key)
    return METHODS[config.method].__init__.__kwdefaults__[key.rpartition(".")[2]] if value is None else value


@pytest.mark.parametrize("name, overrides", CASES)
def test_what_is_advised_is_possible_and_not_so_already(name, overrides):
    config = configured(name, overrides)
    method = built(config)
    for verdict in VERDICTS.values():
        found = list(changes(verdict, config, method, DERIVED))
        assert len({change.key for change in found}) == len(found)
        for change in found:
            now = present(config, change.key)
            assert change.value != now == change.present, change
            again = configured(name, {**overrides, change.key: change.value})
            other = built(again) if change.key.startswith("method_kwargs") else method  # raises for what is impossible
            assert present(again, change.key) == change.value
            assert (change.key, change.value) not in [c[:2] for c in changes(verdict, again, other, DERIVED)]
        assert overrides or "optimizer.lr" not in [change.key for change in found]  # those of shipped ones are usual
        advice = advised(verdict, config, method, DERIVED).advice
        assert re.findall(r"([\w.]+)=\S+ \(now", advice) == [change.key for change in found][:MOST]
        assert advice.startswith("try " if found else "nothing in the configuration explains it")


def said(verdict, name, derived=DERIVED, **overrides):
    config = configured(name, overrides)
    method = built(config)
    return advised(VERDICTS[verdict], config, method, derived).advice


@pytest.mark.parametrize(
    "verdict, name, overrides, words",
    [
        ("code_use", "cplearn", {"method_kwargs.beta": 10.0}, "method_kwargs.beta=1 (now 10: above 1 invariance"),
        ("code_use", "cplearn", {}, "method_kwargs.beta=auto (now 1: "),
        ("told_apart", "cplearn", {"method_kwargs.beta": 0.0}, "method_kwargs.beta=1 (now 0: "),
        ("told_apart", "cplearn", {}, "max_epochs=125 (now 50: 200 steps are hardly enough"),
        ("told_apart", "cplearn", {"max_steps": 20}, "max_steps=500 (now 20: 20 steps are hardly enough"),
        ("spread", "vicreg", {"method_kwargs.var_loss_weight": 0}, "method_kwargs.var_loss_weight=25 (now 0: "),
        ("stable_rank", "vicreg", {"method_kwargs.cov_loss_weight": 0}, "method_kwargs.cov_loss_weight=1 (now 0: "),
        ("spread", "simsiam", {"method_kwargs.stop_gradient": False}, "method_kwargs.stop_gradient=true (now false: "),
        ("stable_rank", "simsiam", {"method_kwargs.stop_gradient": False}, "method_kwargs.stop_gradient=true (now fal"),
        ("spread", "byol", {"momentum.base_tau": 0.0}, "momentum.base_tau=0.99 (now 0: "),
        (
            "no better",
            "byol",
            {"optimizer.lr": 1e-7},
            "optimizer.lr=0.0028 (now 1e-07: 2.5e-08 after scaling, where 0.0",
        ),
    ],
)
def test_what_is_to_blame_comes_first(verdict, name, overrides, words):
    assert said(verdict, name, **overrides).startswith(f"try {words}")


def test_codes_that_tell_nothing_at_beta_1_are_not_blamed_on_beta():
    for beta in (1.0, "auto"):
        many = {"method_kwargs.proj_output_dim": 4096, "method_kwargs.proj_hidden_dim": 512, "method_kwargs.beta": beta}
        words = said("never told apart", "cplearn", **many, max_epochs=60)
        assert words.startswith("try method_kwargs.proj_output_dim=64 (now 4096: ")
        assert "proj_hidden_dim" not in words and "beta" not in words  # docs/your-images.md: a smaller f does not help
        assert "max_epochs=125 (now 60: 240 steps are hardly enough" in words
        assert "max_epochs" not in said("never told apart", "cplearn", derived={}, **many)


@pytest.mark.parametrize("verdict", [criterion.measure for criterion in CRITERIA])
def test_a_run_of_few_steps_is_advised_to_make_more(verdict):
    assert "max_epochs=125 (now 60: 240 steps are hardly enough to learn anything)" in said(verdict, "byol")
    assert "max_epochs" not in said(verdict, "byol", LONG)


def test_steps_that_epochs_end_before_take_more_epochs_too():
    few = {"max_epochs": 60, "max_steps": 29}
    words = (
        "max_steps=500 (now 29: 29 steps are hardly enough to learn anything, and 500 also take max_epochs={}, now 60)"
    )
    assert words.format(125) in said("spread", "byol", **few)
    assert words.format(500) in said("spread", "byol", {"steps_per_epoch": 1, "devices": 1}, **few)
    assert "also take" not in said("spread", "byol", LONG, **few)
    shorter = said("spread", "byol", {"steps_per_epoch": 1, "devices": 1}, max_epochs=10, max_steps=29)
    assert "max_steps=500 (now 29: 10 steps" in shorter and "also take max_epochs=500, now 10" in shorter


def test_views_that_are_nearly_the_same_are_named():
    weak = {"augmentations.0.color_jitter.prob": 0, "augmentations.0.rrc.crop_min_scale": 0.9}
    assert "augmentations.0.rrc.crop_min_scale=0.6 (now 0.9: " in said("within_code", "cplearn", **weak)
    shifted = [{"random_crop": {"enabled": True}, "rrc": {"enabled": False}, "num_crops": 2}]  # of which one can be
    assert "augmentations.0.color_jitter.prob=0.8 (now 0: " in said("within_code", "cplearn", augmentations=shifted)


def test_nothing_is_said_to_explain_it_where_nothing_does():
    nothing = "nothing in the configuration explains it"
    assert said("stable_rank", "byol", LONG) == f"{nothing}; in general, strengthen decorrelation"
    assert said("no better", "byol", LONG) == nothing
    for prior, named in ((None, True), ("uniform", True), ("power_law", False), ("learned", False)):
        assert ("method_kwargs.beta=auto" in said("code_use", "cplearn", **{"method_kwargs.prior": prior})) == named
    auto = said("code_use", "cplearn", LONG, **{"method_kwargs.beta": "auto"})
    assert auto.startswith(nothing) and "beta" not in auto


def test_healthy_runs_and_ones_not_judged_get_no_advice():
    config = configured("cplearn", {"method_kwargs.beta": 10.0})
    method = built(config)
    for name in (HEALTHY, TOO_EARLY):
        verdict = Verdict(name, "", "", dict.fromkeys(FINE, 0.0))
        assert advised(verdict, config, method, DERIVED) == verdict


def test_a_sentence_of_a_method_written_for_an_earlier_release_is_said_as_it_is(monkeypatch):
    monkeypatch.setattr(METHODS["byol"], "advice", {"spread": "stir more"})
    assert said("spread", "byol", LONG) == "nothing in the configuration explains it; in general, stir more"


def test_a_subclass_is_not_advised_of_keys_that_it_lacks(monkeypatch):
    def facts(name):
        return SimpleNamespace(defaults={"beta": 2.0, "proj_output_dim": 16})

    config = configured("cplearn", {"method_kwargs": {"beta": 2.0, "proj_output_dim": 16}})
    method = built(config)
    monkeypatch.setattr("cplearn_solo.engine.advice.method_facts", facts)
    config = replace(config, method_kwargs={})
    keys = {measure: [c.key for c in changes(VERDICTS[measure], config, method, DERIVED)] for measure in method.advice}
    assert "method_kwargs.beta" in keys["code_use"] and "method_kwargs.proj_output_dim" not in keys["within_code"]
