"""Configurations: what is read, what is refused, what counts as the same run."""

import os
import warnings
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from support.configs import composed

from cplearn_solo.auto.choose import choose
from cplearn_solo.config.earlier import EARLIER_DEFAULTS, with_earlier_defaults
from cplearn_solo.config.identity import AS_DINO, DRAWN_BY_NAME, MAY_STOP, TEACHER_KEEPS_ALL, difference, identifying
from cplearn_solo.config.read import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.methods import method_facts

SCRIPTS = Path(__file__).parents[2] / "scripts"
BASE = {"method": "cplearn", "augmentations": [{"crop_size": 8, "num_crops": 2}]}


def test_defaults_are_filled_and_types_converted():
    config = parse_config({**BASE, "optimizer": {"lr": "1e-3"}, "precision": "bf16-mixed", "max_epochs": 3})
    assert config.optimizer.lr == 1e-3 and config.data.dataset == "digits" and config.n_large == 2
    assert config.trainer == {"precision": "bf16-mixed"}
    assert config.plain()["precision"] == "bf16-mixed"
    assert parse_config(config.plain()) == config


@pytest.mark.parametrize(
    "change, words",
    [
        ({"optimiser": {}}, "did you mean 'optimizer'"),
        ({"lr": 1}, "unknown configuration key 'lr': did you mean 'optimizer.lr'"),
        ({"beta": 1}, "did you mean 'method_kwargs.beta'"),
        ({"crop_size": 8}, "did you mean 'augmentations.0.crop_size'"),
        ({"epochs": 1}, "did you mean 'max_epochs'"),  # min_epochs is as close, but refused
        ({"temperature": 1}, "'temperature': choices are accelerator, accumulate_grad_batches, .*in all"),
        ({"method": "mine", "lrs": 1}, "unknown configuration key 'lrs'"),
        ({"optimizer": {"learning_rate": 1}}, "unknown key of optimizer 'learning_rate'"),
        ({"augmentations": [{"color_jitr": {}}]}, "did you mean 'color_jitter'"),
        ({"augmentations": [{"color_jitter": {"probability": 1}}]}, "did you mean 'prob'"),
        ({"augmentations": []}, r"augmentations = \[\]: must be a list of pipelines"),
        ({"augmentations": [{"num_crops": 1}]}, r"augmentations.num_crops = \[1\]: must be at least 2 views"),
        ({"augmentations": [{"num_crops": 2, "grayscale": {"prob": 1.5}}]}, "prob"),
        (
            {"augmentations": [{"crop_size": 8}, {"crop_size": 4}, {"crop_size": 8}]},
            "8, 4, 8.: must be in order, the largest first",
        ),
        ({"augmentations": [{"crop_size": 4}, {"crop_size": 8}]}, "4, 8.: must be in order, the largest first"),
        ({"precision": "bf16-true"}, "precision = 'bf16-true': must be 32-true, 16-mixed or bf16-mixed"),
        ({"precision": 64}, "precision = 64: must be"),
        ({"augmentations": {"crop_size": 8}}, "augmentations = {'crop_size': 8}: must be a list"),
        ({"augmentations": 3}, "augmentations = 3: must be a list"),
        (
            {"augmentations": [{"num_crops": 2, "rrc": {"enabled": "so"}}]},
            "enabled = 'so': must be true or false",
        ),
        ({"augmentations": [{"num_crops": 2, "rrc": None}]}, r"augmentations\[0\].rrc = None: must be a mapping"),
        ({"seed": None}, "seed = None: must be a whole number"),
        ({"optimizer": None}, "optimizer = None: must be a mapping of keys to values"),
        ({"method_kwargs": None}, "method_kwargs = None: must be a mapping"),
        ({"scheduler": {"lr_decay_steps": 5}}, "lr_decay_steps = 5: must be a list, each a whole number or null"),
        ({"optimizer": {"lr": "fast"}}, "optimizer.lr = 'fast': must be a number"),
        ({"optimizer": {"lr": float("inf")}}, "optimizer.lr = inf: must be a finite number"),
        ({"optimizer": {"batch_size": 1.5}}, "optimizer.batch_size = 1.5: must be a whole number"),
        ({"optimizer": {"batch_size": 1}}, "optimizer.batch_size = 1: must be at least 2"),
        ({"optimizer": {"name": "adamm"}}, "did you mean 'adam'"),
        ({"optimizer": "adam"}, "optimizer = 'adam': must be a mapping"),
        ({"scheduler": {"name": "cosine"}}, "did you mean 'warmup_cosine'"),
        ({"scheduler": {"name": "step"}}, "scheduler.lr_decay_steps = None: must be a list of epochs"),
        ({"max_epochs": 0}, "max_epochs = 0"),
        ({"max_time": 260_000}, "max_time = 260000: must be days, .* in quotes where it begins with 1 to 9"),
        ({"max_steps": 0}, "max_steps = 0: must be at least 1"),
        ({"check_val_every_n_epoch": 0}, "check_val_every_n_epoch = 0: must be at least 1"),
        ({"val_check_interval": 0}, "val_check_interval = 0: must be above 0"),
        ({"momentum": {"base_tau": 1.5}}, "momentum.base_tau = 1.5: must be a number from 0 to 1"),
        ({"scheduler": {"min_lr": -1}}, "scheduler.min_lr = -1.0: must be at least 0"),
        ({"optimizer": {"classifier_lr": -1}}, "optimizer.classifier_lr = -1.0: must be at least 0"),
        ({"strategy": "fsdp"}, "strategy = 'fsdp': must be fsdp2"),
        ({"strategy": "fsdp2", "optimizer": {"name": "lars"}}, "optimizer.name = 'lars': must be adam, adamw or sgd"),
        ({"strategy": "fsdp2", "gradient_clip_val": 1.0}, "gradient_clip_val = 1.0: must be absent"),
        ({"strategy": "fsdp2", "precision": "16-mixed"}, "precision = '16-mixed': must be 32-true or bf16-mixed"),
        ({"method": "cplearnn"}, "did you mean 'cplearn'"),
        ({"method": "byol"}, "momentum = None: must be a mapping with base_tau"),
        ({"method": "barlow_twins", "augmentations": [{"num_crops": 3}]}, "must be exactly 2 views"),
        (
            {
                "method": "mocov2plus",
                "momentum": {"base_tau": 0.9},
                "augmentations": [{"crop_size": 8}, {"crop_size": 6}],
            },
            "8, 6.: must be of one size for method 'mocov2plus'",
        ),
        ({"name": "${nothing}"}, "nothing"),
    ],
)
def test_bad_input(change, words):
    with pytest.raises(InputError, match=words) as error:
        parse_config({**BASE, **change})
    assert "\n" not in str(error.value)


def test_solo_learn_keys_without_meaning_are_dropped_with_one_warning():
    extra = {"auto_resume": {"enabled": True, "max_hours": 3}, "dali": {"device": "gpu"}, "data": {"num_classes": 10}}
    extra["augmentations_cfg"] = "weak.yaml"
    extra["augmentations"] = [{"num_crops": 2, "grayscale": {"enabled": True, "prob": 0.2}}]
    words = r"augmentations_cfg, auto_resume.max_hours, dali, data.num_classes, augmentations\[0\].grayscale.enabled"
    with pytest.warns(UserWarning, match=words) as caught:
        parse_config({**BASE, **extra})
    assert len(caught) == 1


def test_the_authors_cplearn_yaml_is_told_what_is_taken():
    """Their keys: three of the method, and solo-learn's."""
    theirs = {**BASE, "method_kwargs": {"proj_hidden_dim": 2048, "proj_output_dim": 16384, "beta": 1.0}}
    theirs |= {"data": {"dataset": "cifar10", "format": "image_folder"}, "auto_resume": {"enabled": True}}
    words = "l2 at the paper's scale is taken; the authors' code has method_kwargs.activation=tanh"
    with pytest.warns(UserWarning, match=words) as caught:
        config = parse_config(theirs)
    assert len(caught) == 1 and "\n" not in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parse_config(config.stored())
        for said in ({"activation": "tanh", "scale": "released"}, {"activation": "l2"}):
            parse_config({**theirs, "method_kwargs": {**theirs["method_kwargs"], **said}})


def test_a_default_that_changed_is_written_down_and_older_configurations_keep_theirs():
    new = parse_config({**BASE, "method": "dino", "momentum": {}}).plain()
    assert new["method_kwargs"] == {"use_bn_in_head": False}
    old = {**new, "method_kwargs": {}}
    assert with_earlier_defaults(old)["method_kwargs"] == {"use_bn_in_head": True}
    assert difference(new, old) == ["method_kwargs.use_bn_in_head: True there, False here"]
    kept = parse_config({**old, "method_kwargs": {"use_bn_in_head": True}}).plain()
    assert difference(kept, old) == [] and identifying(kept) == identifying(old)


@pytest.mark.parametrize("method", EARLIER_DEFAULTS)
def test_earlier_defaults_are_of_keys_that_the_method_has_and_differ(method):
    defaults = method_facts(method).defaults
    assert all(defaults[key] != value for key, value in EARLIER_DEFAULTS[method].items())


def test_what_the_program_learns_otherwise_is_named_anew():
    def lines(method="byol", **backbone):
        return identifying(parse_config({**BASE, "method": method, "momentum": {}, "backbone": backbone}).plain())

    assert TEACHER_KEEPS_ALL in lines(name="resnet50", kwargs={"drop_path_rate": 0.1})
    assert TEACHER_KEEPS_ALL not in lines(name="resnet50") + lines("vicreg", kwargs={"drop_path_rate": 0.1})
    assert AS_DINO in lines(name="vit_small") and AS_DINO not in lines(name="timm/vit_small_patch16_224")


def test_what_is_equal_is_the_same_run_however_it_is_written():
    def of(method="cplearn", **changes):
        return parse_config({**BASE, "method": method, "momentum": {}, **changes}).plain()

    for one, other in (
        (of(method_kwargs={"beta": 1}), of(method_kwargs={"beta": 1.0})),
        (of("mec", method_kwargs={"warmup_epochs": 4}), of("mec", method_kwargs={"warmup_epochs": 4.0})),
        (of(optimizer={"kwargs": {"momentum": 0}}), of(optimizer={"kwargs": {"momentum": 0.0}})),
        (of(backbone={"kwargs": {"drop_rate": 0.0}}), of(backbone={"kwargs": {"drop_rate": 0}})),
        (of(gradient_clip_val=1), of(gradient_clip_val=1.0)),
        (of(), of(precision="32-true")),
        (of(precision=32), of(precision="32")),
        (of(precision="bf16"), of(precision="bf16-mixed")),
    ):
        assert identifying(one) == identifying(other) and not difference(one, other)
    lines = identifying(of(method_kwargs={"beta": 1}, precision="bf16"))  # worded as in kept results
    assert "method_kwargs.beta: 'absent' there, 1.0 here" in lines
    assert "precision: 'absent' there, 'bf16-mixed' here" in lines
    batch, whole = of(limit_train_batches=1), of(limit_train_batches=1.0)
    assert difference(batch, whole) == ["limit_train_batches: 1.0 there, 1 here"]
    assert identifying(batch) != identifying(whole)


def test_difference_names_what_would_be_learned_differently():
    config = parse_config(BASE).plain()
    other = parse_config({**BASE, "seed": 7, "method_kwargs": {"beta": 0.5}, "checkpoint": {"frequency": 9}}).plain()
    assert difference(config, config) == []
    assert difference(other, config) == ["method_kwargs.beta: 1.0 there, 0.5 here", "seed: 5 there, 7 here"]


def test_runs_from_before_a_key_are_the_same_at_its_default():
    def data(**changes):
        return parse_config({**BASE, "data": changes}).plain()

    before = data()
    for key in ("range", "background", "max_unreadable", "max_pixels"):
        del before["data"][key]
    assert difference(data(), before) == difference(data(max_unreadable=0.5, max_pixels=9), before) == []
    found = difference(data(range=[0, 4095], background="black"), before)
    assert found == ["data.background: 'white' there, 'black' here", "data.range: 'absent' there, [0, 4095] here"]


def test_other_folders_are_other_images_unless_the_data_set_is_known_by_its_name():
    def paths(dataset):
        here, there = (
            parse_config({**BASE, "data": {"dataset": dataset, "train_path": path}}).plain() for path in ("/a", "/b")
        )
        return difference(here, there)

    assert paths("custom") == paths("parquet") == ["data.train_path: '/b' there, '/a' here"]
    assert paths("cifar10") == []


def test_relative_paths_are_stored_and_compared_as_absolute_ones(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = parse_config({**BASE, "data": {"dataset": "custom", "train_path": ["a", "~/b"]}})
    stored = config.stored()
    assert stored["data"]["train_path"] == [str(tmp_path / "a"), os.path.expanduser("~/b")]
    assert difference(config.plain(), stored) == [] and parse_config(stored).stored() == stored
    monkeypatch.chdir("/")
    assert [line.partition(":")[0] for line in difference(config.plain(), stored)] == ["data.train_path"]
    assert identifying(config.plain()) != identifying(stored)  # kept results have the paths as they were written
    hub = parse_config({**BASE, "data": {"dataset": "hub", "train_path": "owner/name"}})
    assert hub.stored() == hub.plain()


def test_results_on_other_held_out_images_have_another_name():
    def lines(**data):
        return identifying(parse_config({**BASE, "data": data}).plain())

    assert DRAWN_BY_NAME in lines(dataset="custom", val_split=0.1)
    assert DRAWN_BY_NAME not in lines(dataset="custom") + lines(dataset="digits", val_split=0.1)


def test_a_run_that_may_stop_early_goes_on_either_way_but_its_result_has_another_name():
    warns, stops = (parse_config({**BASE, "on_collapse": choice}).plain() for choice in ("warn", "stop"))
    assert not difference(warns, stops)
    assert identifying(stops) == [MAY_STOP, *identifying(warns)]


def test_classes_as_they_are_are_the_run_of_before_the_key():
    old, new, unequal = (
        parse_config({**BASE, "data": data}).plain() for data in ({}, {"imbalance": None}, {"imbalance": 10})
    )
    del old["data"]["imbalance"]
    assert not difference(new, old) and identifying(new) == identifying(old)
    assert difference(unequal, old) == ["data.imbalance: 'absent' there, 10.0 here"]


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("pretrain/*/*.yaml")), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_pretraining_yaml_parses_without_a_warning_and_opens_with_its_command(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config = OmegaConf.merge(composed(path), {"data": {"dataset": "digits"}} if path.parent.name == "auto" else {})
        parse_config(choose(config).values)
    assert path.read_text().startswith("# python main_pretrain.py ")
    assert path.name in path.read_text().splitlines()[0]


def test_a_config_as_solo_learn_writes_it(tmp_path):
    """Its defaults list, augmentations in a folder of their own, W&B group and disabled Hydra outputs."""
    (tmp_path / "augmentations").mkdir()
    (tmp_path / "augmentations/two.yaml").write_text(
        "- {crop_size: 32, num_crops: 1}\n- {crop_size: 32, num_crops: 1}\n"
    )
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb/private.yaml").write_text('enabled: False\nentity: None\nproject: "solo-learn"\n')
    (tmp_path / "barlow.yaml").write_text(
        """
defaults:
  - _self_
  - augmentations: two.yaml
  - wandb: private.yaml
  - override hydra/hydra_logging: disabled
  - override hydra/job_logging: disabled
hydra:
  output_subdir: null
  run:
    dir: .
name: "barlow"
method: "barlow_twins"
method_kwargs: {proj_hidden_dim: 2048, proj_output_dim: 2048, scale_loss: 0.1}
optimizer: {name: "lars", batch_size: 256, lr: 0.3, kwargs: {clip_lr: True, eta: 0.02, exclude_bias_n_norm: True}}
devices: [0]
sync_batchnorm: True
accelerator: "gpu"
strategy: "ddp"
precision: 16-mixed
"""
    )
    config = parse_config(composed(tmp_path / "barlow.yaml"))
    assert config.single_process and config.n_large == 2
    assert config.trainer["strategy"] == "ddp" and config.trainer["sync_batchnorm"] is True


def test_none_as_a_value_means_absent():
    assert parse_config(OmegaConf.create({**BASE, "resume_from_checkpoint": None})).resume_from_checkpoint is None
