"""What a run takes, said after its first steps: it changes nothing, and a dry run ends there."""

import os
import re
import signal

import pytest
import torch
from support.configs import KINDS, tiny
from support.documents import ROOT
from support.images import write_images

from cplearn_solo.config.read import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.progress import duration
from cplearn_solo.engine import estimate
from cplearn_solo.engine.estimate import Estimate
from cplearn_solo.engine.module import Pretrainer
from cplearn_solo.engine.train import pretrain, rehearse
from cplearn_solo.interface.training import take_stock

LINE = r"(\d+) images, (?:(\d+) codes, )?resnet8 at 8 pixels: about ([\d.]+) (s|min|h) on \d+ CPU cores?, [\d.]+ GB"


def nothing(*_):
    """Seconds after training."""
    return 0.0


@pytest.mark.parametrize("name", [k if k == "cplearn" else pytest.param(k, marks=pytest.mark.slow) for k in KINDS])
def test_a_run_is_the_same_with_it(name, tmp_path, capsys):
    config = tiny(tmp_path, name, data={"max_train_images": 64}, max_epochs=4)
    runs = [pretrain(parse_config(config), estimate=given) for given in (None, Estimate(nothing))]
    first, second = ([*run.module.parameters(), *run.module.buffers()] for run in runs)
    assert all(torch.equal(a, b) for a, b in zip(first, second))
    lines = [line for line in capsys.readouterr().out.splitlines() if re.match(LINE, line)]
    assert len(lines) == 1
    images, codes, *_ = re.match(LINE, lines[0]).groups()
    assert images == "64" and bool(codes) == (runs[0].module.method.codes_total is not None)
    megabytes = float(re.search(r"last.ckpt ([\d.]+) MB", lines[0])[1])
    stored = (runs[1].run.path / "checkpoints/last.ckpt").stat().st_size / 1e6
    assert megabytes == pytest.approx(stored, rel=0.2, abs=0.1)


def test_a_dry_run_ends_there_and_leaves_nothing(tmp_path, capsys):
    before = torch.get_rng_state()
    for epochs, batch_size in ((400, 32), (1, 100)):  # and where there are fewer steps than are counted
        config = parse_config(tiny(tmp_path, dry_run=True, max_epochs=epochs, batch_size=batch_size))
        rehearse(config, Estimate(nothing, ends=True))
        assert re.search(LINE, capsys.readouterr().out)
    assert list(tmp_path.iterdir()) == [] and before.shape == torch.get_rng_state().shape
    with pytest.raises(InputError, match="dry_run = True: must be false here"):
        pretrain(config)


def test_a_dry_run_ends_in_all_processes_once_one_has_seen_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(estimate, "SHARE", 1e9)  # never in this one
    monkeypatch.setattr(estimate, "ENOUGH", 1e9)
    steps = []
    for others in (torch.zeros_like, torch.ones_like):
        monkeypatch.setattr(estimate, "max_ranks", others)
        given = Estimate(nothing, ends=True)
        rehearse(parse_config(tiny(tmp_path, dry_run=True, data={"max_train_images": 64}, max_epochs=6)), given)
        steps.append(given._steps)
    assert steps == [12, estimate.FIRST + estimate.FEWEST]


def test_a_dry_run_tells_of_a_loss_that_is_not_finite(tmp_path):
    changes = {"optimizer": {"lr": 1e30}, "scheduler": {"name": "none"}, "max_epochs": 1}
    with pytest.raises(InputError, match="not finite|is nan|is inf"):
        take_stock(parse_config(tiny(tmp_path, dry_run=True, **changes)))


def test_a_dry_run_ends_as_it_is_asked_to(monkeypatch, tmp_path):
    monkeypatch.setattr(Pretrainer, "on_train_epoch_start", lambda self: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):  # and not the SystemExit of Lightning, which says nothing
        take_stock(parse_config(tiny(tmp_path, dry_run=True, max_epochs=1)))


def test_files_are_timed_as_they_are_read(tmp_path, capsys):
    write_images(tmp_path / "images", [f"{i}.png" for i in range(20)])
    data = {"dataset": "custom", "train_path": str(tmp_path / "images"), "no_labels": True, "num_workers": 1}
    config = tiny(tmp_path / "runs", data=data, dry_run=True, batch_size=10, method_kwargs={"proj_output_dim": 8})
    rehearse(parse_config(config), Estimate(nothing, ends=True))
    assert "20 images, 8 codes, resnet8 at 8 pixels: about " in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_the_document_says_which_runs_are_long_enough():
    words = {8: "Every pretraining of eight or more steps prints an estimate"}
    assert words[estimate.FIRST + estimate.FEWEST] in (ROOT / "docs/your-images.md").read_text()


class Clock:
    """A second a step, three at the end of each epoch."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.mark.parametrize(
    ("images", "every", "seconds"),
    [
        (160, 1, 250 * (5 + 3 + 20)),
        (96, 2, 250 * (3 + 3) + 125 * 20),  # the last epoch before it is told was validated
        (160, 500, 250 * (5 + 3)),
    ],
)
def test_the_time_is_that_of_all_steps_epochs_validations_and_what_comes_after(
    images, every, seconds, monkeypatch, capsys, tmp_path
):
    clock = Clock()
    monkeypatch.setattr(estimate, "time", clock)
    said = Estimate(lambda splits, an_image, features: 1000.0, ends=True)
    end = said.on_train_batch_end

    def timed(trainer, module, outputs, batch, batch_idx):
        clock.now += 1.0 if batch_idx else 4.0
        end(trainer, module, outputs, batch, batch_idx)

    def validated(self):
        clock.now += 20.0

    monkeypatch.setattr(said, "on_train_batch_end", timed)
    monkeypatch.setattr(Pretrainer, "on_validation_epoch_end", validated)
    length = {"data": {"max_train_images": images}, "max_epochs": 250, "check_val_every_n_epoch": every}
    rehearse(parse_config(tiny(tmp_path, dry_run=True, **length)), said)
    said = re.search(LINE, capsys.readouterr().out).groups()[2:]
    assert " ".join(said) == duration(seconds + 1000)
