"""Which score a configuration of an evaluation asks for, with what, on which images."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from cplearn_solo.config.evaluation import ClusteringConfig, KNNConfig, LinearConfig, ProbeOptimizer
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.messages import Notice
from cplearn_solo.evaluation import programs
from cplearn_solo.evaluation.linear import LinearResult

TEST = SimpleNamespace(labels=torch.tensor([0, 1, 2]))
SEEN = torch.tensor([0, -1, 2])  # their labels, of which one image could not be read


@pytest.fixture
def asked(monkeypatch):
    """Calls of scores by name, and features that say of which images they are."""
    calls = []

    def answer(name, result=None):
        monkeypatch.setattr(
            programs, name, lambda *given, **settings: calls.append((name, given, settings)) or result or {name: 1.0}
        )

    for name in ("linear_scores", "paper_linear_scores", "knn_scores", "cluster_scores", "_recorded"):
        answer(name)
    answer("train_on_images", nn.Identity())
    answer("scored", LinearResult(0.5, 0.4, None, 0.6))
    splits = SimpleNamespace(name="test", probe="probe", test=TEST, train=SimpleNamespace(num_classes=3))

    def seen(images, **how):
        labels = SEEN if images is TEST else LABELS
        return SimpleNamespace(
            of=images, how=how, y=labels, labelled=lambda: SimpleNamespace(x=images, y=labels[labels >= 0])
        )

    network = SimpleNamespace(num_features=7)
    config = SimpleNamespace(augmentations=[SimpleNamespace(crop_size=8)], seed=5)
    model = SimpleNamespace(backbone=network, method=SimpleNamespace(codes_total=5), config=config, run=None)
    monkeypatch.setattr(programs, "load_pretrained", lambda *_, **__: model)
    monkeypatch.setattr(programs, "splits_of", lambda *_: (splits, "data"))
    monkeypatch.setattr(programs, "require_held_out", lambda *given: calls.append(("held out", given, {})))
    monkeypatch.setattr(programs, "extractor", lambda *_, **__: seen)
    return calls


LABELS = torch.tensor([0, 0, 1, 2])


def scores(config, asked):
    found = programs.evaluate(config)
    assert asked.pop(0)[0] == "held out" and found.record is None
    assert found.scores["scored_on"] == "test" and found.scores["scored_images"] == 2
    return found.scores


def test_the_converged_probe_is_what_is_not_asked_otherwise(asked):
    assert scores(LinearConfig("run", accelerator="cpu", seed=4), asked)["linear_scores"] == 1.0
    ((name, (train, test), settings),) = asked
    assert (name, train.of, test.of) == ("linear_scores", "probe", TEST)
    assert settings["num_classes"] == 3 and settings["seed"] == 4


def test_the_papers_probe_has_the_optimizer_of_the_configuration(asked):
    optimizer = ProbeOptimizer("sgd", lr=[0.1, 1.0], batch_size=32, weight_decay=0.01)
    scores(LinearConfig("run", protocol="paper", optimizer=optimizer, max_epochs=9, accelerator="cpu"), asked)
    ((name, (train, test), settings),) = asked
    assert (name, train.of, test.of) == ("paper_linear_scores", "probe", TEST)
    wanted = {"optimizer": "sgd", "lr": [0.1, 1.0], "batch_size": 32, "weight_decay": 0.01, "epochs": 9}
    assert {key: settings[key] for key in wanted} == wanted


@pytest.mark.parametrize(
    ("how", "name"), [({"augment": True}, "paper_linear_augmented"), ({"finetune": True}, "finetuned")]
)
def test_a_classifier_trained_on_images_is_scored_on_features(asked, how, name):
    found = scores(LinearConfig("run", protocol="paper", accelerator="cpu", **how), asked)
    assert found[f"{name}_acc1"] == 0.5 and found[f"{name}_train_acc1"] == 0.6
    (training, (_, images), settings), (_, (_, train_x, _, test_x, _), sizes) = asked
    assert (training, images, settings["crop_size"], settings["features_dim"]) == ("train_on_images", "probe", 8, 7)
    assert settings["finetune"] == how.get("finetune", False) and settings["epochs"] == 100
    assert (train_x, test_x, sizes) == ("probe", TEST, {"num_classes": 3})


def test_neighbours_are_those_of_training_images(asked):
    scores(KNNConfig("run", k=3, temperature=0.5, accelerator="cpu"), asked)
    ((name, (train, test), settings),) = asked
    assert (name, train.of, test.of) == ("knn_scores", "probe", TEST)
    assert {key: settings[key] for key in ("k", "temperature", "num_classes")} == {
        **{"k": 3, "temperature": 0.5, "num_classes": 3}
    }


@pytest.mark.parametrize(("protocol", "by_batch"), [("eval", False), ("train", True)])
def test_codes_take_the_statistics_that_the_protocol_says(asked, protocol, by_batch):
    scores(ClusteringConfig("run", protocol=protocol, accelerator="cpu"), asked)
    ((name, (test,), settings),) = asked
    assert (name, test.of, test.how) == ("cluster_scores", TEST, {"batch_statistics": by_batch})
    assert settings == {"codes_total": 5, "seed": 5, "progress": None}


@pytest.mark.parametrize("of", [LinearConfig, partial(LinearConfig, protocol="paper"), KNNConfig, ClusteringConfig])
def test_every_score_tells_how_far_it_is(of, asked):
    programs.evaluate(of("run", accelerator="cpu"), progress=print)
    assert asked[-1][2]["progress"] is print


def test_scores_are_those_of_the_summary_where_no_seed_is_given(asked):
    """A run's summary has its probe and its k-means by its seed; another seed gives others of few images."""
    for seed, used in ((None, 5), (0, 0), (4, 4)):
        scores(LinearConfig("run", accelerator="cpu", seed=seed), asked)
        assert asked.pop()[2]["seed"] == used


@pytest.mark.parametrize(
    ("place", "config", "line"),
    [
        ("extractor", KNNConfig("run", batch_size=99, accelerator="cpu"), "batch_size = 99"),
        ("extractor", LinearConfig("run", batch_size=99, accelerator="cpu"), "batch_size = 99"),
        ("extractor", ClusteringConfig("run", batch_size=99, accelerator="cpu"), "batch_size = 99"),
        (
            "train_on_images",
            LinearConfig("run", finetune=True, optimizer=ProbeOptimizer(batch_size=7), accelerator="cpu"),
            "optimizer.batch_size = 7",
        ),
    ],
)
def test_a_batch_that_is_too_large_is_told_by_its_key(place, config, line, asked, monkeypatch):
    def too_large(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(programs, place, (lambda *_, **__: too_large) if place == "extractor" else too_large)
    with pytest.raises(InputError, match=f"^{line}: must be smaller, as the memory of cpu ran out$"):
        programs.evaluate(config)


def test_scores_of_a_run_that_cannot_be_written_to_are_not_lost(tmp_path):
    with pytest.warns(Notice, match="gone/evaluation.jsonl: could not be written"):
        assert programs._recorded(tmp_path / "gone", {"acc1": 1.0}, KNNConfig()) is None


def test_what_is_not_said_is_the_protocol_of_the_paper():
    """Appendix I of CPLearn for the probe; k and temperature of Wu et al. (2018) for few images."""
    assert ProbeOptimizer() == ProbeOptimizer("adam", lr=1e-2, batch_size=256, weight_decay=0.0, backbone_lr=None)
    linear, knn = LinearConfig(), KNNConfig()
    assert (linear.protocol, linear.max_epochs, linear.last_blocks) == ("converged", 100, 0)
    assert (knn.k, knn.temperature, knn.batch_size, knn.seed) == (20, 0.07, 256, None)
