"""Interrupted runs go on where they were, and only the same configuration continues a run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from support.configs import DIGITS, KINDS, tiny
from support.images import write_images
from support.runs import folders, train_until

from cplearn_solo import load_backbone
from cplearn_solo.auto.choose import choose
from cplearn_solo.cli.tasks import pretrain_task
from cplearn_solo.config.read import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.words import TOO_EARLY
from cplearn_solo.data import train_loader
from cplearn_solo.engine import prepare, runs
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.engine.module import Pretrainer
from cplearn_solo.engine.runs import RUN_VARIABLE, RunFolder, run_of_parent, shared_with_processes
from cplearn_solo.engine.train import pretrain
from cplearn_solo.interface.training import train_and_score

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", [n if n in KINDS else pytest.param(n, marks=pytest.mark.slow) for n in DIGITS])
def test_a_killed_run_ends_with_the_weights_of_an_uninterrupted_one(name, finished, tmp_path, monkeypatch):
    """Weights, BatchNorm statistics, teacher, optimizer, schedule and log; augmentation is random."""
    small = {} if name == "cplearn" else {"data": {"max_train_images": 96}}
    if name == "cplearn":
        one = finished
    else:
        pretrain(parse_config(tiny(tmp_path / "whole", name, **small)))
        (one,) = folders(tmp_path / "whole")
    halved = tiny(tmp_path / "halved", name, **small)
    train_until(2, halved, monkeypatch)
    pretrain(parse_config(halved))

    (two,) = folders(tmp_path / "halved")
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


def test_a_killed_run_of_so_many_steps_ends_with_them(tmp_path, monkeypatch):
    def config(name):
        return tiny(tmp_path / name, data={"max_train_images": 96}, max_epochs=9, max_steps=7)  # of 3 steps each

    pretrain(parse_config(config("whole")))
    train_until(1, config("halved"), monkeypatch)
    pretrain(parse_config(config("halved")))
    (one,), (two,) = folders(tmp_path / "whole"), folders(tmp_path / "halved")
    first, second = (torch.load(run / "checkpoints/last.ckpt", weights_only=True) for run in (one, two))
    assert first["global_step"] == second["global_step"] == 7
    assert all(torch.equal(a, b) for a, b in zip(_tensors(first), _tensors(second), strict=True))
    assert [row["train_loss"] for row in EpochLog.read(one)] == [row["train_loss"] for row in EpochLog.read(two)]
    (one / "summary.json").touch()
    with pytest.raises(InputError, match="must be unfinished, but has trained all of its 7 steps"):
        pretrain(parse_config({**config("whole"), "resume_from_checkpoint": str(one)}))


@pytest.mark.parametrize(("before", "after", "epochs"), [(16, 32, 4), (32, 16, 2)])
def test_a_run_of_so_many_steps_ends_its_schedule_with_batches_of_another_size(
    before, after, epochs, tmp_path, monkeypatch
):
    def config(size, **resumed):
        small = {"data": {"max_train_images": 96}, "max_epochs": 50, "max_steps": 12, "scheduler": {"warmup_epochs": 0}}
        return tiny(tmp_path, "byol", batch_size=size, **small, **resumed)

    train_until(1, config(before), monkeypatch)
    (run,) = folders(tmp_path)
    pretrain(parse_config(config(after, resume_from_checkpoint=str(run))))
    (group, *_) = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["optimizer_states"][0]["param_groups"]
    assert group["lr"] == 0 and len(EpochLog.read(run)) == epochs


def _tensors(checkpoint):
    return [value for value in checkpoint["state_dict"].values() if torch.is_tensor(value)]


def test_a_paused_run_keeps_its_schedule_and_goes_on(finished, tmp_path):
    config = parse_config(tiny(tmp_path / "paused"))
    for _ in range(2):  # the second finds that there is nothing left to train
        paused = pretrain(config, until=2)
        paused.run.close()
        assert len(EpochLog.read(paused.run.path)) == 2
    pretrain(config)
    (run,) = folders(tmp_path / "paused")
    first, second = (torch.load(r / "checkpoints/last.ckpt", weights_only=True)["state_dict"] for r in (finished, run))
    weights = [key for key, value in first.items() if torch.is_tensor(value)]
    assert all(torch.equal(first[key], second[key]) for key in weights)
    assert not all(torch.equal(paused.module.state_dict()[key], second[key]) for key in weights)


def test_a_killed_run_on_files_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, monkeypatch):
    """Which two workers decode, at half their size, cut and colour; and colour made in the training process instead."""
    write_images(tmp_path / "images", [f"{i % 2}/{i}.jpg" for i in range(64)])
    data = {"dataset": "custom", "train_path": str(tmp_path / "images"), "num_workers": 2, "val_split": 0.25}
    views = [{"crop_size": size, "color_jitter": {"prob": 0.8}, "gaussian_blur": {"prob": 0.5}} for size in (8, 8)]
    configs = {
        name: tiny(tmp_path / name, batch_size=16, max_epochs=2, data={**data, "max_train_images": None})
        | {"augmentations": views}
        for name in ("whole", "halved", "elsewhere")
    }
    pretrain(parse_config(configs["whole"]))
    train_until(1, configs["halved"], monkeypatch)
    pretrain(parse_config(configs["halved"]))
    with monkeypatch.context() as context:
        context.setattr(prepare, "train_loader", lambda *a, colour=True, **k: train_loader(*a, colour=False, **k))
        pretrain(parse_config(configs["elsewhere"]))
    runs = [folders(tmp_path / name)[0] / "checkpoints/last.ckpt" for name in configs]
    whole, *others = (torch.load(run, weights_only=True)["state_dict"] for run in runs)
    for key, value in whole.items():
        assert all(not torch.is_tensor(value) or torch.equal(value, other[key]) for other in others), key


def test_a_process_killed_for_real_resumes(finished, tmp_path):
    """SIGKILL at whatever moment follows the second checkpoint; the weights are those of an undisturbed run."""
    config = tiny(tmp_path)
    program = "import json, sys; from cplearn_solo.config.read import parse_config\n"
    program += "from cplearn_solo.engine.train import pretrain; pretrain(parse_config(json.loads(sys.argv[1])))"
    command = [sys.executable, "-c", program, json.dumps(config)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("epoch 3/4"):
                break
        process.kill()
    (run,) = folders(tmp_path)
    assert not (run / "summary.json").exists()
    pretrain_task(OmegaConf.create(config))
    first, second = (load_backbone(each).state_dict() for each in (finished, run))
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    scores = [json.loads((each / "summary.json").read_text()) for each in (finished, run)]
    assert scores[0]["linear_acc1"] == scores[1]["linear_acc1"] and scores[0]["ami"] == scores[1]["ami"]


def test_a_run_killed_before_its_evaluation_is_only_evaluated(tmp_path, capsys):
    config = tiny(tmp_path, max_epochs=1)
    pretrain(parse_config(config)).run.close()
    capsys.readouterr()
    pretrain_task(OmegaConf.create(config))
    (run,) = folders(tmp_path)
    assert (run / "summary.json").exists() and "epoch 1/1" not in capsys.readouterr().out
    pretrain_task(OmegaConf.create(config))  # a finished run is left alone
    assert len(folders(tmp_path)) == 2


def test_two_processes_never_share_an_unfinished_run(tmp_path):
    config = parse_config(tiny(tmp_path, max_epochs=1))
    first = pretrain(config)  # unfinished, and still open
    second = pretrain(config)
    assert first.run.path != second.run.path


def test_a_run_that_is_finished_while_others_are_looked_at_is_left_alone(finished, tmp_path, monkeypatch):
    shutil.copytree(finished, tmp_path / "cplearn-digits" / finished.name)
    (run,) = folders(tmp_path)
    (run / "summary.json").unlink()
    lock = runs.try_lock

    def late(file):
        (run / "summary.json").touch()
        return lock(file)

    monkeypatch.setattr(runs, "try_lock", late)
    opened = runs.open_run(parse_config(tiny(tmp_path)), json.loads((run / "data.json").read_text()))
    assert opened.path != run and opened.resume is None


def test_a_run_of_another_user_is_passed_over(finished, tmp_path, monkeypatch):
    shutil.copytree(finished, tmp_path / "cplearn-digits" / finished.name)
    (theirs,) = folders(tmp_path)
    (theirs / "summary.json").unlink()
    config, data = parse_config(tiny(tmp_path)), json.loads((theirs / "data.json").read_text())
    lock = runs.try_lock

    def refused(file):
        if file.parent == theirs:
            raise PermissionError(13, "Permission denied", str(file))
        return lock(file)

    with monkeypatch.context() as context:
        context.setattr(runs, "try_lock", refused)
        mine = runs.open_run(config, data)
    assert mine.path != theirs and mine.resume is None
    mine.close()
    assert runs.open_run(config, data).path == theirs


def test_a_checkpoint_alone_goes_on_and_the_epochs_before_it_count(finished, tmp_path):
    shutil.copy(finished / "checkpoints/last.ckpt", tmp_path / "last.ckpt")
    asked = {"evaluation": {"linear": False, "knn": False, "clustering": False}}
    longer = {"max_epochs": 5, "resume_from_checkpoint": str(tmp_path / "last.ckpt")}
    summary = train_and_score(parse_config(tiny(tmp_path, **longer, **asked)), references=False).summary
    assert summary["epochs"] == 5 and summary["verdict"] != TOO_EARLY


def test_another_configuration_is_not_resumed_and_the_key_is_named(tmp_path, monkeypatch, capsys):
    train_until(1, tiny(tmp_path, max_epochs=2), monkeypatch)
    (unfinished,) = folders(tmp_path)
    before = (unfinished / "checkpoints/last.ckpt").read_bytes()
    changed = tiny(tmp_path, max_epochs=2, method_kwargs={"beta": 0.5}, seed=3)
    pretrain(parse_config(changed))
    said = capsys.readouterr().out
    assert "is not resumed" in said and "method_kwargs.beta: 1.0 there, 0.5 here" in said and "seed: 0 there" in said
    assert len(folders(tmp_path)) == 2
    assert (unfinished / "checkpoints/last.ckpt").read_bytes() == before

    with pytest.raises(InputError, match=r"method_kwargs.beta: 1.0 there, 0.5 here"):
        pretrain(parse_config({**changed, "resume_from_checkpoint": str(unfinished)}))
    assert len(folders(tmp_path)) == 2


def test_a_finished_run_is_not_resumed_and_one_of_its_epochs_keeps_the_log(finished, tmp_path):
    config = tiny(tmp_path)
    for path in (finished, finished / "checkpoints/epoch=4.ckpt"):
        with pytest.raises(InputError, match="has trained all of its 4 epochs; a larger max_epochs goes on"):
            pretrain(parse_config({**config, "resume_from_checkpoint": str(path)}))
    assert folders(tmp_path) == []
    pretrain(parse_config({**config, "resume_from_checkpoint": str(finished / "checkpoints/epoch=2.ckpt")}))
    first, second = (EpochLog.read(each) for each in (finished, *folders(tmp_path)))
    assert [row["train_loss"] for row in first] == [row["train_loss"] for row in second]


def test_a_finished_run_goes_on_with_more_epochs_on_the_longer_schedule(finished, tmp_path, monkeypatch, capsys):
    """Rates at the first and last step; the finished run stays as it is."""
    rates = {}
    before_step = Pretrainer.on_before_optimizer_step

    def noted(self, optimizer):
        rates.setdefault(self.current_epoch, []).append(optimizer.param_groups[0]["lr"])
        before_step(self, optimizer)

    monkeypatch.setattr(Pretrainer, "on_before_optimizer_step", noted)
    pretrain(parse_config(tiny(tmp_path / "whole", max_epochs=6)))
    expected = {epoch: rates.pop(epoch) for epoch in range(6)}
    before = {path: path.read_bytes() for path in finished.rglob("*.ckpt")}

    longer = tiny(tmp_path / "longer", max_epochs=6, resume_from_checkpoint=str(finished))
    pretrain(parse_config(longer))
    said = capsys.readouterr().out
    place = "those of a run of 6 epochs, not of 4, from epoch 5 on"
    assert f"continuing {finished} in a new run folder; learning rate and other schedules are {place}" in said
    assert rates == {4: expected[4], 5: expected[5]}
    (run,) = folders(tmp_path / "longer")
    log, old = EpochLog.read(run), EpochLog.read(finished)
    assert len(log) == 6 and [row["train_loss"] for row in log[:4]] == [row["train_loss"] for row in old]
    assert all(path.read_bytes() == content for path, content in before.items())

    with pytest.raises(InputError, match="max_epochs: 4 there, 3 here"):
        pretrain(parse_config({**longer, "max_epochs": 3}))


def test_what_says_auto_is_as_in_the_run_that_goes_on(finished, tmp_path):
    begin = {"max_epochs": 6, "resume_from_checkpoint": str(finished)}
    raw = tiny(tmp_path, **begin, scheduler={"warmup_epochs": "auto"}, optimizer={"lr": "auto"})
    values, lines = choose(raw)
    assert values == tiny(tmp_path, **begin)
    assert len(lines) == 2 and all(line.endswith("as in the run that goes on") for line in lines)

    damaged = shutil.copytree(finished, tmp_path / "damaged")
    (damaged / "config.yaml").write_text("scheduler: [")
    with pytest.raises(InputError, match="damaged/config.yaml: ") as told:
        choose({**raw, "resume_from_checkpoint": str(damaged)})
    assert "\n" not in str(told.value)


def test_a_killed_run_that_began_at_a_checkpoint_goes_on_with_the_same_command(finished, tmp_path, monkeypatch):
    longer = tiny(tmp_path, max_epochs=6, resume_from_checkpoint=str(finished))
    train_until(5, longer, monkeypatch)
    pretrain(parse_config(longer))
    (run,) = folders(tmp_path)
    assert len(EpochLog.read(run)) == 6
    pretrain(parse_config({**longer, "resume_from_checkpoint": str(finished / "checkpoints/last.ckpt")}))
    assert len(folders(tmp_path)) == 2  # another checkpoint, as far as its name tells


def test_only_the_process_that_opened_a_run_shares_it(finished, monkeypatch, capsys):
    """Lightning starts the other processes of a node itself; a variable that was left behind is not theirs."""
    monkeypatch.delenv(RUN_VARIABLE, raising=False)
    assert run_of_parent() is None and capsys.readouterr().out == ""
    shared = json.dumps({"process": os.getppid(), "path": str(finished), "resume": None})
    monkeypatch.setenv(RUN_VARIABLE, shared)
    assert run_of_parent().path == finished
    for stale in (json.dumps({**json.loads(shared), "process": os.getpid()}), str(finished), "[]", "{}"):
        monkeypatch.setenv(RUN_VARIABLE, stale)
        assert run_of_parent() is None
        assert "CPLEARN_RUN is ignored" in capsys.readouterr().out
    with shared_with_processes(RunFolder(finished, None, None)):
        assert json.loads(os.environ[RUN_VARIABLE])["process"] == os.getpid()
    assert RUN_VARIABLE not in os.environ


def test_a_leaked_variable_does_not_choose_the_folder(finished, tmp_path, monkeypatch):
    monkeypatch.setenv(RUN_VARIABLE, str(finished))
    with_variable = pretrain(parse_config(tiny(tmp_path, max_epochs=1, limit_train_batches=1)))
    assert with_variable.run.path in folders(tmp_path) and with_variable.run.lock.is_locked


@pytest.mark.parametrize("by_name", [False, True])
def test_a_run_on_other_data_is_not_resumed_and_the_change_is_told(tmp_path, monkeypatch, capsys, by_name):
    write_images(tmp_path / "images", [f"{'ab'[i % 2]}/{i}.png" for i in range(32)])
    data = {"dataset": "custom", "train_path": str(tmp_path / "images"), "val_split": 0.2, "max_train_images": None}
    augmentations = [{"crop_size": 16, "num_crops": 2}]
    config = tiny(tmp_path / "runs", max_epochs=2, batch_size=4, data=data, augmentations=augmentations)
    config["augmentations"] = augmentations
    train_until(1, config, monkeypatch)
    write_images(tmp_path / "images", [f"a/new{i}.png" for i in range(20)], seed=1)
    (unfinished,) = folders(tmp_path / "runs")
    if by_name:
        with pytest.raises(InputError, match="must have the same data; training images: 32 -> 52 images"):
            pretrain(parse_config({**config, "resume_from_checkpoint": str(unfinished)}))
        return
    pretrain(parse_config(config))
    said = capsys.readouterr().out
    assert f"unfinished run {unfinished} is not resumed, the data changed: training images: 32 -> 52 images" in said
    assert len(folders(tmp_path / "runs")) == 2
