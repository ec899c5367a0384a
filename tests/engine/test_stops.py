"""Trainings that a signal, their time, a full disk or too little memory ends, and how they go on."""

import json
import os
import signal
import warnings

import pytest
import torch
from omegaconf import OmegaConf
from support.configs import tiny
from support.runs import folders

from cplearn_solo.cli.tasks import pretrain_task
from cplearn_solo.config.read import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.user_errors import user_errors
from cplearn_solo.engine import checkpoint
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.engine.module import Pretrainer
from cplearn_solo.engine.train import pretrain
from cplearn_solo.interface import training
from cplearn_solo.interface.training import take_stock

pytestmark = pytest.mark.integration


def state(run):
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


def equal(first, second):
    one, two = state(first), state(second)
    return all(torch.equal(value, two[key]) for key, value in one.items() if torch.is_tensor(value))


def signalled(monkeypatch, epoch, number):
    """From now on the second step of that epoch sends this process the signal."""
    step = Pretrainer.training_step

    def training_step(self, batch, batch_idx):
        if (self.current_epoch, batch_idx) == (epoch, 1):
            os.kill(os.getpid(), number)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Pretrainer, "training_step", training_step)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_with_its_epoch_and_the_command_goes_on(number, finished, tmp_path, monkeypatch, capsys):
    config = OmegaConf.create(tiny(tmp_path, checkpoint={"keep_prev": True, "frequency": 3}))
    with monkeypatch.context() as context, pytest.raises(SystemExit) as end, user_errors("pretrain"):
        signalled(context, 1, number)
        pretrain_task(config)
    (run,) = folders(tmp_path)
    said = capsys.readouterr().err.splitlines()[-1]
    assert end.value.code == 128 + number
    assert said == f"pretrain: stopped at epoch 2 of 4; the same command goes on from {run}/checkpoints/last.ckpt"
    assert not (run / "summary.json").exists() and len(EpochLog.read(run)) == 2
    pretrain_task(config)
    assert folders(tmp_path) == [run] and equal(run, finished)
    losses = [[row["train_loss"] for row in EpochLog.read(each)] for each in (run, finished)]
    assert losses[0] == losses[1]


def test_a_long_epoch_ends_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("cplearn_solo.core.stops.PATIENCE", dict.fromkeys((signal.SIGINT, signal.SIGTERM), -1.0))
    config = OmegaConf.create(tiny(tmp_path))
    with monkeypatch.context() as context, pytest.raises(SystemExit) as end, user_errors("pretrain"):
        signalled(context, 1, signal.SIGTERM)
        pretrain_task(config)
    (run,) = folders(tmp_path)
    said = capsys.readouterr().err
    assert end.value.code == 143 and f"stopped at epoch 2 of 4; the same command goes on from {run}" in said
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["epoch"] == 0


def test_a_run_that_ended_before_its_first_checkpoint_is_begun_again(tmp_path, monkeypatch, capsys):
    config = OmegaConf.create(tiny(tmp_path, max_epochs=1))
    with monkeypatch.context() as context, pytest.raises(SystemExit), user_errors("pretrain"):
        context.setattr("cplearn_solo.core.stops.PATIENCE", {signal.SIGINT: -1.0})
        signalled(context, 0, signal.SIGINT)
        pretrain_task(config)
    (run,) = folders(tmp_path)
    assert f"{run} has no checkpoint yet, so the same command starts from the beginning" in capsys.readouterr().err
    pretrain(parse_config(config))
    assert folders(tmp_path) == [run] and f"beginning the run {run} again" in capsys.readouterr().out


def test_a_run_whose_time_is_over_is_unfinished(finished, tmp_path, capsys):
    timed = tiny(tmp_path, max_time={"seconds": 0})
    for epoch in (1, 2):  # each call trains one epoch at least
        assert pretrain_task(OmegaConf.create(timed)) is None
        (run,) = folders(tmp_path)
        assert f"at epoch {epoch} of 4; the same command goes on from {run}" in capsys.readouterr().out
        assert not (run / "summary.json").exists()
    assert pretrain_task(OmegaConf.create({**timed, "max_time": None}))["epochs"] == 4
    assert folders(tmp_path) == [run] and equal(run, finished)


def test_a_full_disk_keeps_the_last_checkpoint_and_says_so(finished, tmp_path, monkeypatch):
    save, calls = torch.save, []

    def full(value, file):
        calls.append(file)
        if len(calls) == 2:
            file.write(b"half")
            raise OSError(28, "No space left on device")
        save(value, file)

    monkeypatch.setattr(checkpoint.torch, "save", full)
    config = parse_config(tiny(tmp_path))
    with pytest.raises(InputError, match="last.ckpt: could not be written: No space left on device; the same command"):
        pretrain(config)
    (run,) = folders(tmp_path)
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["last.ckpt"]
    (run / "checkpoints/.last.ckpt.partial").write_text("of a killed process")
    pretrain(config)
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["last.ckpt"]
    assert folders(tmp_path) == [run] and equal(run, finished)


def too_large(monkeypatch, place):
    """From now on the second epoch needs more memory than there is."""
    step = Pretrainer.training_step

    def on_gpu(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    def on_cpu(*_, **__):
        torch.empty(1 << 60, dtype=torch.uint8)

    def training_step(self, batch, batch_idx):
        if self.current_epoch == 1 and place == "optimizer":
            self.optimizers().optimizer.step = on_cpu
        found = step(self, batch, batch_idx)
        if self.current_epoch == 1 and place == "forward":
            on_gpu()
        if self.current_epoch == 1 and place == "backward":
            found.register_hook(on_cpu)
        return found

    monkeypatch.setattr(Pretrainer, "training_step", training_step)


@pytest.mark.parametrize("place", ["forward", "backward", "optimizer"])
def test_a_batch_that_is_too_large_is_told_and_the_run_goes_on_with_a_smaller_one(place, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as context, pytest.raises(SystemExit) as end, user_errors("pretrain"):
        too_large(context, place)
        pretrain_task(OmegaConf.create(tiny(tmp_path, max_epochs=2)))
    (run,) = folders(tmp_path)
    last = run / "checkpoints/last.ckpt"
    assert end.value.code == 2 and capsys.readouterr().err.splitlines()[-1] == (
        "pretrain: error: optimizer.batch_size = 32: must be smaller, as the memory of cpu ran out; "
        "accumulate_grad_batches=2 keeps the images of a step; precision=bf16-mixed takes less; "
        f"resume_from_checkpoint={last} goes on from there"
    )
    assert torch.load(last, weights_only=True)["epoch"] == 0 and len(EpochLog.read(run)) == 1
    smaller = tiny(tmp_path, resume_from_checkpoint=str(last), max_epochs=2, batch_size=16)
    assert [row["epoch"] for row in EpochLog.read(pretrain(parse_config(smaller)).run.path)] == [0, 1]


def test_a_batch_that_is_too_large_is_told_before_there_is_a_checkpoint(tmp_path, monkeypatch):
    def training_step(*_):
        raise MemoryError

    monkeypatch.setattr(Pretrainer, "training_step", training_step)
    config = tiny(tmp_path, precision="bf16-mixed", accumulate_grad_batches=2)
    words = "optimizer.batch_size = 32: must be smaller, as the memory of cpu ran out"
    with pytest.raises(InputError, match=f"^{words}; there is no checkpoint yet$"):
        pretrain(parse_config(config))
    with pytest.raises(InputError, match=f"^{words}$"):
        take_stock(parse_config({**config, "dry_run": True}))


def test_scores_that_need_too_much_memory_lose_no_training(tmp_path, monkeypatch, capsys):
    def summarize(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    config = OmegaConf.create(tiny(tmp_path, max_epochs=1))
    with monkeypatch.context() as context, pytest.raises(InputError) as error:
        context.setattr(training, "summarize", summarize)
        context.setattr(training, "device_after_training", lambda _: torch.device("cuda"))
        pretrain_task(config)
    (run,) = folders(tmp_path)
    assert str(error.value) == (
        f"the memory of cuda ran out while scoring; the same command goes on from {run}/checkpoints/last.ckpt; "
        "accelerator=cpu scores without it"
    )
    assert pretrain_task(config)["epochs"] == 1 and folders(tmp_path) == [run]


def test_a_run_folder_that_is_gone_is_told(tmp_path, monkeypatch):
    start = Pretrainer.on_train_epoch_start

    def gone(self):
        if self.current_epoch == 1:
            (run,) = folders(tmp_path)
            run.rename(tmp_path / "elsewhere")
        start(self)

    monkeypatch.setattr(Pretrainer, "on_train_epoch_start", gone)
    with pytest.raises(InputError, match="could not be written: No such file or directory; .* has no checkpoint"):
        pretrain(parse_config(tiny(tmp_path)))


def test_a_kill_between_row_and_checkpoint_loses_no_row(finished, tmp_path, monkeypatch):
    config = parse_config(tiny(tmp_path))
    put = checkpoint.EpochCheckpoint._put_in_place

    class Killed(BaseException):
        """Ends the process: nothing is cleaned up."""

    def killed(self):
        if self._epoch == 2 and self._ready is not None:
            self._ready = None
            raise Killed
        put(self)

    with monkeypatch.context() as context, pytest.raises(Killed):
        context.setattr(checkpoint.EpochCheckpoint, "_put_in_place", killed)
        pretrain(config)
    (run,) = folders(tmp_path)
    assert len(EpochLog.read(run)) == 3
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["epoch"] == 1
    pretrain(config)
    rows = [[row["train_loss"] for row in EpochLog.read(each)] for each in (run, finished)]
    assert rows[0] == rows[1] and equal(run, finished)


def test_what_other_packages_say_is_in_a_file(tmp_path, capsys, monkeypatch):
    step = Pretrainer.on_train_start

    def on_train_start(self):
        warnings.warn("of another package", UserWarning, stacklevel=1)
        step(self)

    monkeypatch.setattr(Pretrainer, "on_train_start", on_train_start)
    with warnings.catch_warnings(), user_errors("pretrain"):
        warnings.simplefilter("always")
        pretrain_task(OmegaConf.create(tiny(tmp_path, max_epochs=1, scheduler={"warmup_epochs": 0})))
    (run,) = folders(tmp_path)
    kept, said = (run / "messages.log").read_text(), capsys.readouterr()
    assert "UserWarning: of another package" in kept and "Lightning" not in said.err
    assert said.err.splitlines()[-1].endswith(f"in all: {run}/messages.log")
    assert "of another package" not in said.out + said.err
    assert json.loads((run / "summary.json").read_text())["epochs"] == 1
