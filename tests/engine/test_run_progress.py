"""What a training says while it runs, and when it is interrupted."""

import re

import pytest
from lightning import Callback
from support.configs import tiny
from support.runs import folders

from cplearn_solo.config.read import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.engine import devices, prepare, progress
from cplearn_solo.engine.train import pretrain

pytestmark = pytest.mark.integration


def test_a_log_has_lines_within_an_epoch_where_it_takes_long(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "SILENCE", 0.0)
    pretrain(parse_config(tiny(tmp_path, max_epochs=2)))
    lines = [line for line in capsys.readouterr().out.splitlines() if " step " in line]
    steps = [re.match(r"epoch (\d)/2  step (\d)/6  loss \d\S*  \d+ images/s  \d+ s left", line) for line in lines]
    assert [match.groups() for match in steps] == [(str(e), str(s)) for e in (1, 2) for s in range(1, 7)]


def test_a_terminal_has_one_bar_for_the_run(tmp_path, capsys):
    pretrain(parse_config(tiny(tmp_path, max_epochs=2, enable_progress_bar=True)))
    out, bar = capsys.readouterr()
    assert not re.search(r"  step \d", out) and len(re.findall(r"epoch \d/2  loss .* left", out)) == 2
    assert "/384 [" in bar and "images/s" in bar  # two epochs of six batches of 32


class Interrupt(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("epoch, resumed, words", [
    (0, True, "stopped at epoch 1 of 4; "),
    (1, True, "stopped at epoch 2 of 4; the same command goes on from "),
    (1, False, " goes on from "),
])  # fmt: skip
def test_an_interrupted_training_says_how_to_go_on(epoch, resumed, words, tmp_path, monkeypatch):
    build = prepare.build_trainer

    def interrupted(config):
        trainer = build(config)
        trainer.callbacks.append(Interrupt(epoch))
        return trainer

    monkeypatch.setattr(prepare, "build_trainer", interrupted)
    config = parse_config(tiny(tmp_path, auto_resume={"enabled": resumed}))
    with pytest.raises(KeyboardInterrupt) as stop:
        pretrain(config)
    (run,) = folders(tmp_path)
    assert words in str(stop.value) and str(run) in str(stop.value)
    assert resumed or f"; resume_from_checkpoint={run}" in str(stop.value)
    assert epoch or "has no checkpoint yet" in str(stop.value)
    if epoch and resumed:
        monkeypatch.setattr(prepare, "build_trainer", build)
        assert pretrain(config).run.path == run


def test_more_processes_than_cores_are_refused_before_images_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "cores", lambda: 2)
    config = parse_config(tiny(tmp_path, devices=9, data={"dataset": "custom", "train_path": "nowhere"}))
    with pytest.raises(InputError, match="devices = 9: must be at most 2, the processor cores there are"):
        pretrain(config)
