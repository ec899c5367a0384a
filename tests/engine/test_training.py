"""Small real trainings on digits: what a run leaves behind, resumes and refuses to resume."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from cplearn_solo import load_backbone
from cplearn_solo.cli.tasks import pretrain_task
from cplearn_solo.config.read import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.data import load_splits, train_loader
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.engine.module import Pretrainer, image_statistics
from cplearn_solo.engine.train import pretrain
from cplearn_solo.inference.features import extract
from cplearn_solo.inference.pretrained import load_pretrained
from cplearn_solo.methods.cplearn import CPLearn

SCRIPTS = Path(__file__).parents[2] / "scripts/pretrain"
DIGITS = sorted(path.stem for path in (SCRIPTS / "digits").glob("*.yaml"))
KINDS = {"cplearn", "byol", "mocov2plus", "gedi"}  # nothing but weights, a teacher, a queue, a replay buffer


class Killed(Exception):
    """Stands for whatever ends a process."""


def batch_size(config, smallest):
    """W-MSE needs a whole block of the batch."""
    return max(smallest, config["method_kwargs"].get("whitening_size", 0))


def shipped(tmp_path, name="cplearn", folder="digits", **changes):
    """A shipped configuration, cut down to seconds."""
    with initialize_config_dir(str(SCRIPTS / folder), version_base="1.3"):
        config = OmegaConf.to_container(compose(name))
    small = {
        "data": {"max_train_images": 200, "num_workers": 0},
        "optimizer": {"batch_size": batch_size(config, 32)},
        "max_epochs": 4,
        "checkpoint": {"dir": str(tmp_path)},
        "enable_progress_bar": False,
        "accelerator": "cpu",
    }
    return OmegaConf.to_container(OmegaConf.merge(config, small, changes))


def runs(tmp_path):
    return sorted(path.parent for path in tmp_path.glob("*/*/config.yaml"))


def kill_in_epoch(monkeypatch, epoch):
    start = Pretrainer.on_train_epoch_start

    def killed(self):
        if self.current_epoch == epoch:
            raise Killed
        start(self)

    monkeypatch.setattr(Pretrainer, "on_train_epoch_start", killed)


@pytest.mark.parametrize("name", [n if n in KINDS else pytest.param(n, marks=pytest.mark.slow) for n in DIGITS])
def test_a_killed_run_ends_with_the_weights_of_an_uninterrupted_one(name, tmp_path, monkeypatch):
    """Weights, BatchNorm statistics, teacher, optimizer, schedule and log; augmentation is random."""
    whole = shipped(tmp_path / "whole", name)
    pretrain(parse_config(whole))
    halved = shipped(tmp_path / "halved", name)
    with monkeypatch.context() as context:
        kill_in_epoch(context, 2)
        with pytest.raises(Killed):
            pretrain(parse_config(halved))
    pretrain(parse_config(halved))

    (one,), (two,) = runs(tmp_path / "whole"), runs(tmp_path / "halved")
    first, second = (torch.load(run / "checkpoints/last.ckpt", weights_only=True) for run in (one, two))
    assert first["epoch"] == second["epoch"] == 3
    for key, value in first["state_dict"].items():
        assert not torch.is_tensor(value) or torch.equal(value, second["state_dict"][key]), key
    moments = [state["exp_avg"] for ckpt in (first, second) for state in ckpt["optimizer_states"][0]["state"].values()]
    half = len(moments) // 2
    assert all(torch.equal(a, b) for a, b in zip(moments[:half], moments[half:], strict=True))
    log_one, log_two = EpochLog.read(one), EpochLog.read(two)
    assert [row["train_loss"] for row in log_one] == [row["train_loss"] for row in log_two]
    assert len(log_one) == 4 and log_one[0]["train_loss"] != log_one[3]["train_loss"]


def test_every_epoch_has_an_order_of_its_own(tmp_path, monkeypatch):
    """The one that the loader promises for (seed, epoch), which for image files decides on their views as well."""
    seen, step = [], Pretrainer.training_step
    monkeypatch.setattr(Pretrainer, "training_step", lambda self, *args: seen.append(args[0][0]) or step(self, *args))
    config = parse_config(shipped(tmp_path, max_epochs=3))
    images = pretrain(config).splits.train
    loader = train_loader(images, config.augmentations, batch_size=32, num_workers=0, seed=config.seed)
    wanted = []
    for epoch in range(3):
        loader.batch_sampler.set_epoch(epoch)
        wanted += [index for index, _, _ in loader]
    assert torch.equal(torch.stack(seen), torch.stack(wanted))
    assert len({tuple(index.tolist()) for index in seen}) == 3 * len(loader)


def test_a_process_killed_for_real_resumes(tmp_path):
    """SIGKILL at whatever moment follows the second checkpoint; the weights are those of an undisturbed run."""
    whole, killed = shipped(tmp_path / "whole", max_epochs=6), shipped(tmp_path / "killed", max_epochs=6)
    program = "import json, sys; from omegaconf import OmegaConf; from cplearn_solo.cli.tasks import pretrain_task\n"
    program += "pretrain_task(OmegaConf.create(json.loads(sys.argv[1])))"
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS.parents[1])}
    command = [sys.executable, "-c", program, json.dumps(killed)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("epoch 3/6"):
            break
    process.kill()
    process.wait()
    assert not list((tmp_path / "killed").glob("*/*/summary.json"))
    pretrain_task(OmegaConf.create(killed))
    pretrain_task(OmegaConf.create(whole))
    (one,), (two,) = runs(tmp_path / "whole"), runs(tmp_path / "killed")
    first, second = (load_backbone(run).state_dict() for run in (one, two))
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    scores = [json.loads((run / "summary.json").read_text()) for run in (one, two)]
    assert scores[0]["linear_acc1"] == scores[1]["linear_acc1"] and scores[0]["ami"] == scores[1]["ami"]


def test_a_run_killed_before_its_evaluation_is_only_evaluated(tmp_path, capsys):
    config = shipped(tmp_path, max_epochs=1)
    pretrain(parse_config(config)).run.close()
    capsys.readouterr()
    pretrain_task(OmegaConf.create(config))
    (run,) = runs(tmp_path)
    assert (run / "summary.json").exists() and "epoch 1/1" not in capsys.readouterr().out


def test_two_processes_never_share_an_unfinished_run(tmp_path):
    config = parse_config(shipped(tmp_path, max_epochs=1))
    first = pretrain(config)  # unfinished, and still open
    second = pretrain(config)
    assert first.run.path != second.run.path


def test_another_configuration_is_not_resumed_and_the_key_is_named(tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as context:
        kill_in_epoch(context, 1)
        with pytest.raises(Killed):
            pretrain(parse_config(shipped(tmp_path, max_epochs=2)))
    (unfinished,) = runs(tmp_path)
    before = (unfinished / "checkpoints/last.ckpt").read_bytes()
    changed = shipped(tmp_path, max_epochs=2, method_kwargs={"beta": 0.5}, seed=3)
    pretrain(parse_config(changed))
    said = capsys.readouterr().out
    assert "is not resumed" in said and "method_kwargs.beta: 1.0 there, 0.5 here" in said and "seed: 0 there" in said
    assert len(runs(tmp_path)) == 2
    assert (unfinished / "checkpoints/last.ckpt").read_bytes() == before

    with pytest.raises(InputError, match=r"method_kwargs.beta: 1.0 there, 0.5 here"):
        pretrain(parse_config({**changed, "resume_from_checkpoint": str(unfinished)}))
    assert len(runs(tmp_path)) == 2


def test_a_finished_run_leaves_what_was_promised(tmp_path):
    pretrain_task(OmegaConf.create(shipped(tmp_path, max_epochs=1)))
    (run,) = runs(tmp_path)
    summary = json.loads((run / "summary.json").read_text())
    keys = """method dataset backbone seed epochs wall_seconds images_per_second online_acc1 linear_acc1 knn_acc1 nmi
    nmi_chance ami ari cluster_acc kmeans_ami codes_used codes_total effective_rank loss versions"""
    assert set(keys.split()) <= set(summary)
    assert summary["codes_total"] == 64 and 1 <= summary["codes_used"] <= 64 and 0 <= summary["nmi"] <= 1
    assert {p.name for p in run.iterdir()} >= {"config.yaml", "metrics.csv", "checkpoints", "summary.json", "figures"}
    (row,) = EpochLog.read(run)
    assert {"train_bound_gap", "train_assignment_entropy", "train_codes_used", "val_acc1"} <= set(row)
    assert row["train_bound_gap"] > 0

    pretrain_task(OmegaConf.create(shipped(tmp_path, max_epochs=1)))  # a finished run is left alone
    assert len(runs(tmp_path)) == 2


def test_checkpoint_frequency_always_keeps_the_last_epoch(tmp_path):
    config = shipped(tmp_path, max_epochs=3, checkpoint={"frequency": 2, "keep_prev": True})
    pretrain(parse_config(config))
    (run,) = runs(tmp_path)
    assert {p.name for p in (run / "checkpoints").iterdir()} == {"last.ckpt", "epoch=2.ckpt", "epoch=3.ckpt"}


def test_a_run_of_so_many_steps_keeps_its_weights_and_means(tmp_path):
    pretrain(parse_config(shipped(tmp_path, max_epochs=5, max_steps=9, checkpoint={"frequency": 5})))
    (run,) = runs(tmp_path)
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 9
    rows = EpochLog.read(run)
    assert [row["train_images"] for row in rows] == [6 * 32, 3 * 32]
    assert 0.5 < rows[1]["train_loss"] / rows[0]["train_loss"] < 1.5


def test_a_finished_run_is_not_resumed_and_one_of_its_epochs_keeps_the_log(tmp_path):
    config = shipped(tmp_path, max_epochs=2, checkpoint={"keep_prev": True})
    pretrain_task(OmegaConf.create(config))
    (run,) = runs(tmp_path)
    for path in (run, run / "checkpoints/epoch=2.ckpt"):
        with pytest.raises(InputError, match="has trained all of its 2 epochs"):
            pretrain(parse_config({**config, "resume_from_checkpoint": str(path)}))
    assert runs(tmp_path) == [run]
    pretrain(parse_config({**config, "resume_from_checkpoint": str(run / "checkpoints/epoch=1.ckpt")}))
    first, second = (EpochLog.read(each) for each in runs(tmp_path))
    assert [row["train_loss"] for row in first] == [row["train_loss"] for row in second]


def test_features_and_codes_do_not_depend_on_the_evaluation_batch(tmp_path):
    pretrain(parse_config(shipped(tmp_path, max_epochs=1)))
    model = load_pretrained(runs(tmp_path)[0])
    images = load_splits(model.config.data, seed=0).test
    ours = [extract(model.backbone, model.method, images, crop_size=8, batch_size=size) for size in (7, 359)]
    torch.testing.assert_close(ours[0].x, ours[1].x, rtol=1e-5, atol=1e-5)
    assert torch.equal(ours[0].codes, ours[1].codes)
    theirs = extract(model.backbone, model.method, images, crop_size=8, batch_size=7, batch_statistics=True)
    assert not torch.equal(theirs.codes, ours[0].codes)  # the released protocol does depend on it
    statistics = model.method.projector[1].running_mean.clone()
    assert torch.equal(statistics, model.method.projector[1].running_mean)
    assert torch.equal(load_backbone(runs(tmp_path)[0])(torch.ones(1, 3, 8, 8)), model.backbone(torch.ones(1, 3, 8, 8)))


def test_accumulation_lr_scale_and_teacher(tmp_path):
    """Two batches of 32 accumulated: half the optimizer steps, twice the scaled rate, n unchanged."""
    pretrain(parse_config(shipped(tmp_path, "byol", accumulate_grad_batches=2, max_epochs=1)))
    (run,) = runs(tmp_path)
    derived = json.loads((run / "derived.json").read_text())
    lr = shipped(tmp_path, "byol")["optimizer"]["lr"]
    assert derived["lr"] == pytest.approx(lr * 32 * 2 / 256) and derived["n"] == 32 and derived["steps_per_epoch"] == 3
    state = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    assert state["global_step"] == 3
    weights = state["state_dict"]
    assert not torch.equal(weights["teacher.0.conv1.weight"], weights["backbone.conv1.weight"])


def test_online_knn_and_validation_split(tmp_path):
    config = shipped(tmp_path, max_epochs=1, knn_eval={"enabled": True, "k": 5}, data={"val_split": 0.25})
    pretrain(parse_config(config))
    (row,) = EpochLog.read(runs(tmp_path)[0])
    assert 0 < row["val_knn_acc1"] <= 1


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lars"])
def test_other_optimizers_and_schedules_train(optimizer, tmp_path):
    kwargs = {"eta": 0.02, "clip_lr": True, "exclude_bias_n_norm": True} if optimizer == "lars" else {}
    change = {"name": optimizer, "lr": 0.1, "weight_decay": 1e-4, "exclude_bias_n_norm_wd": True, "kwargs": kwargs}
    schedule = {"sgd": {"name": "step", "lr_decay_steps": [1]}, "adamw": {"name": "none"}}.get(optimizer, {})
    config = shipped(tmp_path, max_epochs=2, optimizer=change, scheduler=schedule)
    trained = pretrain(parse_config(config))
    assert all(p.isfinite().all() for p in trained.module.parameters())


def test_images_without_labels_train_and_are_not_scored(tmp_path, capsys):
    """Files in a folder, decoded and augmented by a worker."""
    for i, image in enumerate(load_splits(parse_config(shipped(tmp_path)).data, seed=0).train.images[:40]):
        torchvision.io.write_png(image, str(tmp_path / f"{i}.png"))
    data = {"dataset": "custom", "train_path": str(tmp_path), "no_labels": True, "num_workers": 1}
    pretrain_task(OmegaConf.create(shipped(tmp_path, max_epochs=1, data={**data, "max_train_images": None})))
    (run,) = runs(tmp_path)
    summary = json.loads((run / "summary.json").read_text())
    assert "loss" in summary and not {"online_acc1", "linear_acc1", "nmi", "kmeans_ami"} & set(summary)
    assert "no labels, so no scores" in capsys.readouterr().out


def test_mixed_precision_and_trainer_arguments(tmp_path):
    config = shipped(tmp_path, max_epochs=1, precision="bf16-mixed", limit_train_batches=2, gradient_clip_val=1.0)
    trained = pretrain(parse_config(config))
    assert trained.module.trainer.global_step == 2 and trained.module.trainer.precision == "bf16-mixed"


@pytest.mark.parametrize(
    "change, words",
    [
        ({"strategy": "nonsense"}, "Trainer arguments"),
        ({"optimizer": {"batch_size": 300}}, "batch_size 300"),
        ({"optimizer": {"kwargs": {"bets": 1}}}, "optimizer.kwargs"),
        ({"backbone": {"name": "resnet80"}}, "did you mean 'resnet"),
        ({"data": {"dataset": "digit"}}, "did you mean 'digits'"),
        ({"resume_from_checkpoint": "nowhere.ckpt"}, "nowhere.ckpt does not exist"),
    ],
)
def test_bad_input_leaves_nothing_behind(change, words, tmp_path):
    with pytest.raises(InputError, match=words):
        pretrain(parse_config(shipped(tmp_path, **change)))
    assert runs(tmp_path) == []


def test_bad_checkpoints_are_named(tmp_path):
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes(b"PK\x03\x04 not a checkpoint")
    foreign = tmp_path / "foreign.ckpt"
    torch.save({"state_dict": {}}, foreign)
    (tmp_path / "empty").mkdir()
    for path, words in ((damaged, "is damaged"), (foreign, "not a checkpoint of"), (tmp_path / "empty", "not a run")):
        with pytest.raises(InputError, match=words):
            load_pretrained(path)


def every_configuration():
    """Large backbones are slow here, and methods train with small ones too: one ResNet-18 is enough by default."""
    for path in sorted(SCRIPTS.glob("*/*.yaml")):
        large = path.parent.name in ("cifar", "cifar_resnet18") and path.stem != "cplearn"
        large = large or path.parent.name == "imagenet-100"
        yield pytest.param(path, id=f"{path.parent.name}/{path.stem}", marks=[pytest.mark.slow] if large else [])


@pytest.mark.parametrize("path", every_configuration())
def test_every_shipped_configuration_trains_two_steps(path, tmp_path, monkeypatch):
    """On digits where its own images would have to be downloaded or are the user's."""
    change = {"data": {"dataset": "digits", "max_train_images": 300, "max_val_images": 20}, "max_epochs": 1}
    config = shipped(tmp_path, path.stem, path.parent.name, **change, limit_train_batches=2)
    config["optimizer"]["batch_size"] = batch_size(config, 8)
    trained = pretrain(parse_config(config))
    assert trained.module.trainer.global_step == 2


def test_constants_are_not_sent_to_other_processes(tmp_path):
    module = Pretrainer(parse_config(shipped(tmp_path)), num_classes=10, mean=[0.5] * 3, std=[0.5] * 3)
    ignored = set(module._ddp_params_and_buffers_to_ignore)
    assert "method.packed_dictionary" in ignored and not ignored & module.state_dict().keys()


def test_statistics_come_from_the_training_images(tmp_path):
    splits = load_splits(parse_config(shipped(tmp_path)).data, seed=0)
    assert image_statistics(splits.train)["num_classes"] == 10


@pytest.mark.parametrize("poison, words", [("loss", "part 'prior' of the loss is nan"), ("weights", "weights are not")])
def test_a_loss_that_is_no_number_stops_the_run(poison, words, tmp_path, monkeypatch):
    """In the second of three epochs: the first one's checkpoint is named, stays as it was, and can be continued."""
    loss, steps = CPLearn.loss, 0

    def poisoned(self, views):
        nonlocal steps
        steps += 1
        parts = loss(self, views)
        if poison == "loss" and steps == 9:
            parts |= {"loss": parts["loss"] * float("nan"), "prior": parts["prior"] * float("nan")}
        elif poison == "weights" and steps == 12:
            next(self.parameters()).data.fill_(float("nan"))
        return parts

    config = shipped(tmp_path, max_epochs=3)
    with monkeypatch.context() as context:
        context.setattr(CPLearn, "loss", poisoned)
        with pytest.raises(InputError) as error:
            pretrain(parse_config(config))
    (run,) = runs(tmp_path)
    last = run / "checkpoints/last.ckpt"
    assert words in str(error.value) and "method 'cplearn'" in str(error.value) and str(last) in str(error.value)
    assert "step 8:" in str(error.value) if poison == "loss" else "step 12" in str(error.value)
    state = torch.load(last, weights_only=True)
    assert state["epoch"] == 0 and all(v.isfinite().all() for v in state["state_dict"].values() if torch.is_tensor(v))
    pretrain(parse_config(config))
    assert len(EpochLog.read(run)) == 3
