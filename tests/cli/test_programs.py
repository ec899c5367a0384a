"""The programs as a user types them: results, lists, and errors of one line."""

import json
import logging
import shlex
import warnings
from dataclasses import replace

import pytest
import torch
import yaml

from cplearn_solo.backbones import build_backbone
from cplearn_solo.cli.hydra_app import _forced
from cplearn_solo.cli.tasks import next_commands
from cplearn_solo.data import DataConfig, load_splits

pytestmark = pytest.mark.integration


def test_evaluations_take_a_run_or_a_checkpoint(run, here):
    code, out, error = here("linear", f"pretrained={run}")
    assert code == 0 and "linear_l2" in out, error
    code, out, error = here("linear", f"pretrained={run}", "max_epochs=5")
    assert code == 2 and "protocol = 'converged': must be paper where optimizer or max_epochs is set" in error
    paper = ("linear", "--config-name", "paper.yaml", f"pretrained={run}", "max_epochs=2")
    code, out, error = here(*paper, "optimizer.lr=[1e-3,1e-2]")
    assert code == 0 and "paper_linear_lr" in out, error
    code, out, error = here(*paper, "augment=true")
    assert code == 0 and "paper_linear_augmented_acc1" in out, error
    code, out, error = here("linear", "--config-name", "finetune.yaml", f"pretrained={run}", "max_epochs=1")
    assert code == 0 and "finetuned_acc1" in out, error
    code, out, error = here("linear", f"pretrained={run}", "optimizer.lr=[fast]")
    assert code == 2 and "optimizer.lr = 'fast': must be a finite number above 0" in error
    code, out, error = here("knn", f"{run}/checkpoints/last.ckpt", "k=5")
    assert code == 0 and "knn_acc1" in out, error
    code, out, error = here("clustering", run, "protocol=train")
    assert code == 0 and "nmi_chance" in out, error
    lines = [json.loads(line) for line in (run / "evaluation.jsonl").read_text().splitlines()]
    assert [sorted({"linear_acc1", "paper_linear_acc1", "knn_acc1", "kmeans_ami"} & set(line)) for line in lines] == [
        ["linear_acc1"],
        ["paper_linear_acc1"],
        [],
        [],
        ["knn_acc1"],
        ["kmeans_ami"],
    ]


def test_the_exported_backbone_is_plain(run, here, tmp_path):
    code, out, error = here("export", str(run), "backbone.pt")
    assert code == 0 and "weights_only=True" in out, error
    weights = torch.load(tmp_path / "backbone.pt", weights_only=True)
    build_backbone("resnet8", crop_size=8, width=32).load_state_dict(weights, strict=True)
    code, _, error = here("export", str(run), "backbone.pt")
    assert code == 2 and "exists already" in error
    code, _, error = here("export", str(run), "nowhere/backbone.pt")
    assert code == 2 and "there is no folder nowhere" in error


def test_a_file_that_is_no_yaml_is_named(here, tmp_path):
    (tmp_path / "bad.yaml").write_text("method: [cplearn\n")
    code, _, error = here("pretrain", "-cp", str(tmp_path), "-cn", "bad.yaml")
    assert code == 2 and len(error.splitlines()) == 1 and "bad.yaml" in error and "line 2" in error, error


def test_batch_statistics_of_one_image_are_refused(run, here):
    for size in (358, 1):
        code, _, error = here("clustering", f"pretrained={run}", "protocol=train", f"batch_size={size}")
        words = f"batch_size = {size}: must be another: one of 359 images would be a batch by itself"
        assert code == 2 and words in error


def test_the_commands_that_a_run_names_work(run, here):
    """With labels and held-out images; where there are none, those that need them are not named."""
    splits = load_splits(DataConfig(), seed=0)
    commands = {words[1]: words[1:] for words in map(shlex.split, next_commands(run, splits, DataConfig()))}
    looks = ["collapse", "gallery", "embed", "export"]
    assert list(commands) == ["linear", "knn", "clustering", *looks]
    assert commands["gallery"] == ["gallery", str(run), "digits", f"{run}/gallery.html"]
    made = [commands[program][-1] for program in ("gallery", "embed", "export")]
    assert made == [f"{run}/{name}" for name in ("gallery.html", "vectors.parquet", "backbone.pt")]
    code, out, error = here(*commands["knn"])
    assert code == 0 and "knn_acc1" in out, error
    of_files = next_commands(run, splits, DataConfig("custom", train_path="my images"))
    assert f"cplearn embed {run} 'my images' {run}/vectors.parquet" in of_files
    unlabelled = replace(splits.train, labels=torch.full_like(splits.train.labels, -1))
    for without in (replace(splits, train=unlabelled, probe=unlabelled), replace(splits, test=None)):
        assert [command.split()[1] for command in next_commands(run, without, DataConfig())] == looks


def test_lists_and_help(here):
    for command, words in (("methods", "barlow_twins"), ("backbones", "vit_small"), ("datasets", "parquet")):
        code, out, _ = here(command)
        assert code == 0 and words in out
    for command in ("", "check", "pretrain", "linear", "table", "export", "runs", "methods", "dino", "solo-learn"):
        code, out, _ = here(*filter(None, (command, "--help")))
        assert code == 0 and out.startswith(f"usage: cplearn {command}"), "as it can be typed"
    assert here()[1] == here("--help")[1]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["pretrian"], "did you mean 'pretrain'"),
        (["pretrain", "--config-name", "cplern.yaml"], "did you mean 'cplearn.yaml'"),
        (["pretrain", "--config-path", "scripts/pretrain/cifra"], "did you mean 'scripts/pretrain/cifar'"),
        (["pretrain", "optimizer.lrr=1"], "unknown key of optimizer 'lrr'"),
        (["pretrain", "optimizer.lr=[1,2"], "optimizer.lr"),
        (["pretrain", "method=cplearned"], "did you mean 'cplearn'"),
        (["pretrain", "data.dataset=custom", "data.train_path=nowhere"], "nowhere"),
        (["pretrain", "method_kwargs.eps=0.5"], "eps"),
        (["pretrain", "whatever"], "override = 'whatever': must be key=value"),
        (["pretrain", "on_collapse=halt"], "on_collapse 'halt'"),
        (["linear"], "pretrained is missing"),
        (["linear", "pretrained=nowhere"], "nowhere does not exist"),
        (["linear", "pretraind=x"], "did you mean 'pretrained'"),
        (["clustering", "pretrained=nowhere"], "nowhere does not exist"),
        (["clustering", "pretrained=nowhere", "protocol=x"], "unknown protocol 'x'"),
        (["linear", "pretrained=${foo}"], "foo"),
        (
            ["linear", "pretrained=nowhere", "protocol=paper", "optimizer.batch_size=0"],
            "optimizer.batch_size = 0: must be at least 1",
        ),
        (["knn", "pretrained=nowhere", "num_workers=-1"], "num_workers = -1: must be auto or an integer from 0 up"),
        (["clustering", "pretrained=nowhere", "seed=-1"], "seed = -1: must be at least 0 and below 2**32"),
        (["pretrain", "seed=20261121120000"], "below 2**32"),
        (["pretrain", "enable_checkpointing=false"], "enable_checkpointing"),
        (["export", "nowhere", "file.pt"], "nowhere does not exist"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(arguments, words, here, tmp_path):
    code, out, error = here(*arguments)
    lines = [line for line in error.splitlines() if not line.startswith("warning:")]
    assert code == 2 and len(lines) == 1 and words in lines[0], error
    assert list(tmp_path.iterdir()) == []


def test_warnings_and_loggers_are_left_as_they_were(here):
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    before = warnings.showwarning, logger.level
    for arguments in (("pretrain", "optimizer.lrr=1"), ("pretrain", "--cfg", "job")):
        here(*arguments)
        assert (warnings.showwarning, logger.level) == before


def test_flags_stand_anywhere_among_overrides(here):
    code, out, error = here("pretrain", "seed=7", "--cfg", "job", "augmentations.0.rrc.crop_min_scale=0.5")
    assert code == 0, error
    values = yaml.safe_load(out)  # every key, those of the method included
    assert values["seed"] == 7 and values["augmentations"][0]["rrc"] == {
        "enabled": True,
        "crop_min_scale": 0.5,
        "crop_max_scale": 1.0,
    }
    assert values["num_nodes"] == 1 and values["method_kwargs"]["eps"] == 1e-8
    assert yaml.safe_load(here("linear", "--cfg", "job")[1])["optimizer"]["weight_decay"] == 0.0


def test_a_path_with_an_equals_sign_needs_no_quotes(tmp_path):
    """As in epoch=2.ckpt, the name of a checkpoint that was kept."""
    assert _forced(tmp_path, "pretrained=runs/epoch=2.ckpt") == "++pretrained='runs/epoch=2.ckpt'"
    assert _forced(tmp_path, "seed=1") == "++seed=1" and _forced(tmp_path, "x='a=b'") == "++x='a=b'"
