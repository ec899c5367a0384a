"""Trainings that a signal, their time or a full disk ends, and what the same command then does."""

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
