"""solo-learn trains our methods with its own scripts; skipped where there is no checkout of it."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from support.processes import MAIN, ROOT, python

from cplearn_solo.config.evaluation import LinearConfig
from cplearn_solo.config.read import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.engine.train import pretrain
from cplearn_solo.evaluation.programs import evaluate
from cplearn_solo.inference.pretrained import load_pretrained
from cplearn_solo.methods import build_method

pytestmark = pytest.mark.integration

CHECKOUT = Path(os.environ.get("SOLO_LEARN", "nowhere"))
needs_checkout = pytest.mark.skipif(
    not (CHECKOUT / "main_pretrain.py").is_file(),
    reason="SOLO_LEARN names no checkout of solo-learn (1.0.6): set it to a clone of its repository",
)
BASELINES = ("barlow", "byol", "swav", "dino", "vicreg", "wmse", "simsiam", "simclr", "mocov2plus")
SHIPPED = ROOT / "scripts/solo_learn/cifar/cplearn.yaml"
HEADS = {"proj_hidden_dim": 32, "proj_output_dim": 16}


def configuration(digits, runs, method, method_kwargs, **changes):
    """The shipped configuration, cut down to seconds on a CPU."""
    config = OmegaConf.to_container(OmegaConf.load(SHIPPED))
    config |= {"method": method, "method_kwargs": method_kwargs}
    small = {
        "backbone": {"name": "cplearn_resnet8", "kwargs": {"width": 16}},
        "data": {"dataset": "custom", "train_path": f"{digits}/train", "val_path": f"{digits}/val", "num_workers": 0},
        "optimizer": {"batch_size": 16},
        "scheduler": {"warmup_epochs": 0},
        "checkpoint": {"dir": str(runs)},
        "devices": "1",
        "accelerator": "cpu",
        "strategy": "auto",
        "sync_batchnorm": False,
        "precision": 32,
        "max_epochs": 1,
        "limit_train_batches": 2,
        "limit_val_batches": 1,
        "enable_progress_bar": False,
    }
    return OmegaConf.to_container(OmegaConf.merge(config, small, changes))


def solo_learn(folder, script, config, *arguments, checkout=CHECKOUT):
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config/it.yaml").write_text(yaml.safe_dump(config))
    where = ("--config-path", "config", "--config-name", "it.yaml")
    return python(*MAIN, "solo-learn", checkout / script, *where, *arguments, cwd=folder)


def trained(folder, digits, method, method_kwargs, **changes):
    config = configuration(digits, folder / "runs", method, method_kwargs, **changes)
    done = solo_learn(folder, "main_pretrain.py", config)
    assert done.returncode == 0, done.stderr[-3000:]
    (checkpoint,) = (folder / "runs").glob("**/*.ckpt")
    return checkpoint


@needs_checkout
def test_pretraining_there_linear_evaluation_there_and_here(tmp_path, digits):
    checkpoint = trained(tmp_path, digits, "cplearn", HEADS)
    config = configuration(digits, tmp_path / "linear", "cplearn", HEADS)
    config |= {"pretrained_feature_extractor": str(checkpoint), "pretrain_method": "cplearn"}
    done = solo_learn(tmp_path, "main_linear.py", config)
    assert done.returncode == 0, done.stderr[-3000:]

    here = evaluate(LinearConfig(pretrained=str(checkpoint), data={"num_workers": 0}))
    assert 0 <= here.scores["linear_acc1"] <= 1
    ours = load_pretrained(checkpoint)
    assert ours.config.method == "cplearn" and ours.config.backbone.name == "resnet8" and ours.num_classes == 10
    state = torch.load(checkpoint, weights_only=False)["state_dict"]
    assert torch.equal(ours.backbone.conv1.weight, state["backbone.conv1.weight"])


@needs_checkout
@pytest.mark.parametrize("method", ["mec", "gedi"])
def test_methods_with_a_teacher_and_with_images(method, tmp_path, digits):
    kwargs = {"mec": {"pred_hidden_dim": 8}, "gedi": {"sgld_steps": 2, "replay_size": 32}}[method]
    change = {"momentum": {"base_tau": 0.5, "final_tau": 1.0}} if method == "mec" else {}
    checkpoint = trained(tmp_path, digits, method, {**HEADS, **kwargs}, **change)
    state = torch.load(checkpoint, weights_only=False)["state_dict"]
    if method == "mec":
        twin = [(v, state[k.replace("momentum_head", "method.projector")]) for k, v in state.items() if "head" in k]
        assert twin and any(not torch.equal(a, b) for a, b in twin)
    else:
        assert "replay" in state["method._extra_state"]
    assert load_pretrained(checkpoint).method.embed(torch.randn(3, 16)).shape == (3, 16)


@needs_checkout
@pytest.mark.filterwarnings("default")  # its modules warn of much
@pytest.mark.parametrize("dataset", ["cifar10", "custom"])
def test_features_of_a_resnet_trained_there_are_the_same_here(dataset, tmp_path, digits, monkeypatch):
    monkeypatch.syspath_prepend(CHECKOUT)
    from solo.methods import METHODS

    from cplearn_solo.hosts.solo_learn import register
    from cplearn_solo.hosts.solo_learn.config import our_config

    assert "cplearn" in [*register(), *METHODS]
    config = configuration(digits, tmp_path, "cplearn", HEADS, backbone={"name": "resnet18"})
    config["backbone"]["kwargs"] = {}
    config["data"] |= {"dataset": dataset, "num_classes": 10, "num_large_crops": 2, "num_small_crops": 0}
    config["optimizer"]["kwargs"] = {}
    config["performance"] = {"disable_channel_last": True}
    theirs = METHODS["cplearn"](OmegaConf.create(config)).eval()
    from cplearn_solo.engine.module import Pretrainer

    ours = Pretrainer(parse_config(our_config(config)), num_classes=10, mean=[0.5] * 3, std=[0.5] * 3).eval()
    ours.backbone.load_state_dict(theirs.backbone.state_dict())
    images = torch.randn(2, 3, 32, 32)
    out = theirs(images)
    torch.testing.assert_close(ours.encode(images), out["feats"], rtol=1e-5, atol=1e-5)
    assert out["z"].shape == (2, 16)  # logits


@needs_checkout
@pytest.mark.parametrize(
    "script, change, words",
    [
        (
            "main_pretrain.py",
            {"method": "mec", "method_kwargs": HEADS},
            "momentum = None: must be a mapping with base_tau, as method 'mec'",
        ),
        ("main_pretrain.py", {"method": "gedi_nogen", "small": True}, "must be exactly 2 views in all for method"),
        ("main_pretrain.py", {"method_kwargs": {"bta": 1}}, "did you mean 'beta'"),
        ("main_linear.py", {"data": {"num_classes": 3}}, "data.num_classes = 3: must be at least 5"),
    ],
)
def test_bad_input_is_one_line(script, change, words, tmp_path, digits):
    change = dict(change)
    config = configuration(digits, tmp_path / "runs", "cplearn", HEADS)
    if change.pop("small", False):
        config["augmentations"].append({**config["augmentations"][0], "crop_size": 16})
    if script == "main_linear.py":
        few = tmp_path / "few"
        few.mkdir()
        for label in "012":
            (few / label).symlink_to(digits / "train" / label)
        checkpoint = trained(tmp_path, digits, "cplearn", HEADS)
        change = {"data": {"train_path": str(few), "val_path": str(few)}, "pretrain_method": "cplearn"}
        change["pretrained_feature_extractor"] = str(checkpoint)
    done = solo_learn(tmp_path, script, OmegaConf.to_container(OmegaConf.merge(config, change)))
    assert done.returncode == 2, done.stderr[-3000:]
    assert words in done.stderr.splitlines()[-1] and done.stderr.splitlines()[-1].startswith("solo-learn: error: ")


def test_without_solo_learn_one_line_says_what_to_get(tmp_path):
    done = solo_learn(tmp_path, "main_pretrain.py", {}, checkout=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "solo-learn 1.0.6 is needed" in done.stderr.splitlines()[-1]


def test_a_method_that_its_devices_cannot_train_is_refused_by_its_key():
    from cplearn_solo.hosts.solo_learn.hosted import Hosted

    kind = type("Hosts", (Hosted, type("Base", (), {"on_fit_start": lambda self: None})), {"name": "cplearn"})
    host = kind.__new__(kind)
    for key, impl, line in (
        ("dictionary_parallel", "auto", "method_kwargs.proj_output_dim = 16: must be divisible by 3"),
        ("global_prior", "lookup", "method_kwargs.impl = 'lookup': must be auto or chunked for embeddings on cuda"),
    ):
        kwargs = {"proj_output_dim": 16, key: True}
        host.method = build_method("cplearn", 5, batch_size=4, method_kwargs=kwargs)
        host.method.impl = impl
        strategy = SimpleNamespace(root_device=torch.device("cuda"))
        host.trainer = SimpleNamespace(world_size=3, strategy=strategy)
        with pytest.raises(InputError, match=line):
            host.on_fit_start()


def test_an_old_solo_learn_is_named(tmp_path, monkeypatch):
    """As 1.0.2 on today's Lightning: a package that does not import, and one without the backbones' table."""
    from cplearn_solo.hosts.solo_learn import register

    package = tmp_path / "solo/methods"
    package.mkdir(parents=True)
    (tmp_path / "solo/__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    for broken in ("from typing import nothing", "METHODS = {}"):
        for name in [name for name in sys.modules if name.split(".")[0] == "solo"]:
            monkeypatch.delitem(sys.modules, name)
        (package / "__init__.py").write_text(broken + "\n")
        with pytest.raises(InputError, match="this solo-learn cannot be used.*1.0.6 is needed"):
            register()
    for name in [name for name in sys.modules if name.split(".")[0] == "solo"]:
        monkeypatch.delitem(sys.modules, name)


@needs_checkout
@pytest.mark.slow
@pytest.mark.parametrize("name", BASELINES)
def test_its_own_configurations_train_here(name, tmp_path):
    """Unchanged but for data, device and epochs."""
    with initialize_config_dir(str(CHECKOUT / "scripts/pretrain/cifar"), version_base="1.2"):
        config = OmegaConf.to_container(compose(name))
    config["data"] = {"dataset": "digits", "max_train_images": 600, "max_val_images": 16}
    config |= {"accelerator": "cpu", "devices": 1, "strategy": "auto", "precision": 32, "sync_batchnorm": False}
    config |= {"max_epochs": 1, "limit_train_batches": 2, "wandb": {"enabled": False}, "enable_progress_bar": False}
    config["checkpoint"]["dir"] = str(tmp_path)
    with pytest.warns(UserWarning):  # keys that mean nothing here, and a warm-up longer than the run
        assert pretrain(parse_config(config)).module.trainer.global_step == 2
