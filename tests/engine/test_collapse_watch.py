"""Collapses made on purpose on digits are named while they happen, and a healthy run is left alone."""

import io
import json
import re
import shutil
from contextlib import redirect_stdout
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from support.configs import shipped, tiny

from cplearn_solo.cli.tasks import pretrain_task
from cplearn_solo.config.read import parse_config
from cplearn_solo.engine import watch
from cplearn_solo.engine.find import LAST
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.engine.train import pretrain
from cplearn_solo.engine.watch import correlations
from cplearn_solo.methods import build_method
from cplearn_solo.metrics.verdict import Verdict

pytestmark = pytest.mark.integration

# The commands of docs/collapse.md.
COLLAPSES = {
    "beta 0": ("cluster", "cplearn", ["method_kwargs.beta=0", "max_epochs=20"]),
    "beta 10": ("cluster", "cplearn", ["method_kwargs.beta=10", "max_epochs=20"]),
    "no variance": ("representation", "vicreg", ["method_kwargs.var_loss_weight=0", "max_epochs=20"]),
    "no covariance": ("dimensional", "vicreg", ["method_kwargs.cov_loss_weight=0", "max_epochs=20"]),
    "ten codes": (
        "intracluster",
        "cplearn",
        [
            "method_kwargs.proj_output_dim=10",
            "method_kwargs.eps=1e-2",
            "augmentations.0.rrc.crop_min_scale=0.9",
            "augmentations.0.color_jitter.prob=0",
            "augmentations.0.gaussian_noise.std=0",
        ],
    ),
}


STOPPED = ("cplearn", "method_kwargs.beta=10", "on_collapse=stop", "checkpoint.frequency=100")


def run(root, name, *overrides):
    """Summary, log and output of a run on digits."""
    raw = OmegaConf.create(shipped(name, accelerator="cpu", enable_progress_bar=False, checkpoint={"dir": str(root)}))
    for override in overrides:
        key, _, value = override.partition("=")
        OmegaConf.update(raw, key, OmegaConf.create(f"v: {value}").v, force_add=True)
    with redirect_stdout(io.StringIO()) as output:
        pretrain_task(raw)
    folder = next(root.glob("*/*/summary.json")).parent
    return json.loads((folder / "summary.json").read_text()), EpochLog.read(folder), output.getvalue()


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    root = tmp_path_factory.mktemp("stopped")
    return root, *run(root, *STOPPED)


def test_correlations_are_of_features_and_embeddings():
    """Against NumPy; constant features have none."""
    torch.manual_seed(0)
    method = build_method("vicreg", 6, batch_size=64, method_kwargs={"proj_hidden_dim": 8, "proj_output_dim": 5})
    feats = torch.randn(64, 6)
    found = correlations(method, feats)
    with torch.no_grad():
        spaces = {"features_correlation": feats, "correlation": method.eval().projector(feats)}
    for name, space in spaces.items():
        matrix = np.abs(np.corrcoef(space.double().numpy().T))
        assert found[name] == pytest.approx(matrix[~np.eye(len(matrix), dtype=bool)].mean(), rel=1e-5)
    assert "features_correlation" not in correlations(method, torch.ones(64, 6))


def test_a_cluster_collapse_stops_the_run_if_asked_to(stopped):
    root, summary, log, output = stopped
    assert summary["verdict"] == "cluster" and summary["verdict_reason"] in output
    assert summary["epochs"] == len(log) < 10
    assert f"epoch {len(log) - 1}: cluster collapse" in output and "method_kwargs.beta=1 (now 10:" in output
    assert {"collapse_correlation", "collapse_features_correlation"} <= log[0].keys()
    assert {"collapse_spread", "collapse_stable_rank", "collapse_code_use", "collapse_told_apart"} <= log[0].keys()
    assert len(list(root.glob("*/*/checkpoints/last.ckpt"))) == 1


def test_a_stopped_run_that_is_killed_before_its_evaluation_trains_no_further(stopped, tmp_path):
    root, first, log, _ = stopped
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    (summary,) = tmp_path.glob("*/*/summary.json")
    summary.unlink()
    second, again, output = run(tmp_path, *STOPPED)
    assert "resuming the unfinished run" in output and again == log
    assert (second["verdict"], second["verdict_reason"]) == (first["verdict"], first["verdict_reason"])


def test_a_run_that_collapsed_in_its_last_epoch_and_is_killed_before_its_evaluation_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "verdict_of", lambda measures, **_: Verdict("cluster", "on purpose", "", measures))
    small = {"data": {"max_train_images": 64}, "batch_size": 4, "scheduler": {"warmup_epochs": 0}}
    config = parse_config(tiny(tmp_path, max_epochs=3, on_collapse="stop", **small))
    first = pretrain(config)
    first.run.close()
    again = pretrain(config)
    assert first.stopped_for is not None and again.stopped_for == first.stopped_for
    again.run.close()


def test_a_run_that_was_stopped_goes_on_where_more_epochs_are_asked_for(tmp_path, monkeypatch):
    """Until the next epoch shows the same collapse; without a word it would be told again that it has collapsed."""
    monkeypatch.setattr(watch, "verdict_of", lambda measures, **_: Verdict("cluster", "on purpose", "", measures))
    small = {
        "data": {"max_train_images": 64},
        "batch_size": 4,
        "scheduler": {"warmup_epochs": 0},
        "on_collapse": "stop",
    }
    first = pretrain(parse_config(tiny(tmp_path, max_epochs=5, **small)))
    first.run.close()
    (first.run.path / "summary.json").touch()
    longer = tiny(tmp_path, max_epochs=6, resume_from_checkpoint=str(first.run.path), **small)
    again = pretrain(parse_config(longer))
    again.run.close()
    assert [len(EpochLog.read(one.run.path)) for one in (first, again)] == [3, 4]
    assert (again.run.path / LAST).is_file() and again.stopped_for is not None


@pytest.mark.parametrize(
    "epochs, steps, most, words",
    [
        (3, 900, None, "trained for 3 epochs, and judged from epoch 4 on with a warm-up of 2"),
        (4, 28, None, "trained for 4 epochs and 28 steps, and judged from epoch 5 and step 29 on: before, BatchNorm's"),
        (2, 4, None, "trained for 2 epochs and 4 steps, and judged from epoch 15 and step 29 on: before, BatchNorm's"),
        (2, 28, None, "trained for 2 epochs and 28 steps, and judged from epoch 4 and step 29 on: before, BatchNorm's"),
        (2, 4, 4, "trained for 2 epochs and 4 steps, and judged from epoch 4 and step 29 on: before, BatchNorm's"),
        (4, 29, None, ""),
        (4, None, None, ""),
    ],
)
def test_a_run_is_judged_after_some_epochs_and_some_steps(epochs, steps, most, words):
    config = parse_config(shipped("cplearn", max_steps=most))
    why = watch.too_early(config, epochs, steps)
    assert why.startswith(words) and bool(why) == bool(words)
    if steps and why and not most:  # to train as long as it says is enough
        longer = max(epochs, *map(int, re.findall(r"judged from epoch (\d+)", why)))
        assert not watch.too_early(config, longer, longer * steps // epochs)


def test_28_steps_leave_more_of_batchnorms_start_than_a_twentieth():
    norm = torch.nn.BatchNorm1d(1).train()
    left = []
    for _ in range(watch.FIRST_STEP):
        norm(torch.full((2, 1), 1.0))
        left.append(1 - norm.running_mean.item())  # from 0 to 1
    assert left[-1] < 0.05 < left[-2]


def test_steps_are_those_of_the_epochs_or_fewer():
    config = parse_config(shipped("cplearn"))
    ended = parse_config(shipped("cplearn", max_steps=10))
    assert watch.steps_made(config, {"steps_per_epoch": 4}, 3) == 12
    assert watch.steps_made(ended, {"steps_per_epoch": 4}, 3) == 10
    assert watch.steps_made(config, {}, 3) is None


def test_all_processes_judge_what_the_first_one_has_measured(tmp_path):
    """Without a validation, statistics of BatchNorm differ between them at the end of an epoch."""
    config = parse_config(tiny(tmp_path, on_collapse="stop", scheduler={"warmup_epochs": 0}))
    method = build_method(config.method, 16, batch_size=32, method_kwargs=config.method_kwargs)
    process = SimpleNamespace(check_weights=lambda: None, check_finite=lambda *_: None, log_dict=lambda values: None)
    process.recent, process.method = [torch.randn(64, 16)], method
    first = {"spread": 0.01, "stable_rank": 1.0}
    for sent, stops in (({}, False), (first, True)):
        strategy = SimpleNamespace(broadcast=lambda own, sent=sent: {**own, **sent})
        trainer = SimpleNamespace(strategy=strategy, current_epoch=9, is_global_zero=False, should_stop=False)
        one = watch.CollapseWatch(config, {})
        for _ in range(2):
            one.on_train_epoch_end(trainer, process)
        assert trainer.should_stop == stops


def test_a_healthy_run_is_left_alone(tmp_path):
    summary, log, output = run(tmp_path, "cplearn", "max_epochs=6", "on_collapse=stop", "data.max_train_images=800")
    assert summary["verdict"] == "healthy" and len(log) == 6
    assert "collapse:" not in output


def test_a_run_too_short_to_judge_is_told_so(tmp_path):
    summary, _, output = run(tmp_path, "cplearn", "max_epochs=1", "method_kwargs.beta=10", "data.max_train_images=400")
    assert summary["verdict"] == "too early to tell" and "cluster collapse" not in output
    assert "too early to tell: trained for 1 epoch and 6 steps, and judged from epoch 5 and step 29 on: " in output
    assert summary["verdict_measures"].keys() >= {"spread", "code_use", "told_apart", "stable_rank"}


def test_codes_that_never_told_samples_apart_are_no_collapse(tmp_path):
    """Few images and many codes: the first assignment, in which no sample prefers a code, is hardly left."""
    many = ("method_kwargs.proj_output_dim=4096", "method_kwargs.proj_hidden_dim=1024", "optimizer.lr=1e-3")
    few = ("max_epochs=5", "data.max_train_images=200", "optimizer.batch_size=20", "evaluation.linear=false")
    summary, _, output = run(tmp_path, "cplearn", *many, *few)
    assert summary["verdict"] == "no better than chance" and "epoch 4: no better than chance: codes tell" in output
    assert "method_kwargs.proj_output_dim=64 (now 4096:" in summary["verdict_advice"]
    assert "beta" not in summary["verdict_advice"] and "cluster collapse" not in output


def test_a_network_that_does_not_move_has_learned_nothing(tmp_path):
    quick = ("max_epochs=5", "data.max_train_images=400", "evaluation.clustering=false")
    summary, _, output = run(tmp_path, "byol", "optimizer.lr=1e-7", *quick)
    assert summary["verdict"] == "no better than chance" and "code" not in summary["verdict_reason"]
    assert summary["own_view_acc"] == pytest.approx(summary["random_backbone"]["own_view_acc"], abs=1e-3)
    assert "try optimizer.lr=0.0028 (now 1e-07: 2.5e-08 after scaling" in output


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("kind", COLLAPSES)
def test_each_collapse_on_purpose_is_named(tmp_path, kind, seed):
    name, config, overrides = COLLAPSES[kind]
    summary, _, output = run(tmp_path, config, *overrides, f"seed={seed}")
    assert summary["verdict"] == name
    assert f": {name} collapse: " in output
