"""``cplearn tune`` as a user types it: a small search on digits, failures, kills."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from cplearn_solo.cli.hydra_app import composed_by
from cplearn_solo.cli.tune import training
from cplearn_solo.config.read import parse_config

ROOT = Path(__file__).parents[2]
SPACES = {
    "good.yaml": "all: {optimizer.lr: {times: [0.5, 2]}, method_kwargs.beta: {choices: [0.5, 1.0]}}",
    # too many codes for eps, but for the configuration as it is
    "bad.yaml": "all: {method_kwargs.proj_output_dim: {choices: [200000000, 300000000]}}",
}
SMALL = ["--config-name", "cplearn.yaml", "data.max_train_images=200", "accelerator=cpu"]

pytestmark = pytest.mark.integration


@pytest.fixture
def start(tmp_path):
    """Function that starts ``cplearn tune ARGUMENTS``, as a group of processes of its own."""
    for name, text in SPACES.items():
        (tmp_path / name).write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def program(*arguments):
        command = [sys.executable, str(ROOT / "main_tune.py"), *SMALL, *arguments]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        search = subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True, **streams)
        return searches.enter_context(search)

    with ExitStack() as searches:
        yield program


def record(folder, *, but=("seconds",)):
    (file,) = folder.glob("results/tune/*/trials.jsonl")
    return [{k: v for k, v in json.loads(line).items() if k not in but} for line in file.read_text().splitlines()]


def test_the_command_that_trains_has_no_key_of_the_search_whoever_gave_it(tmp_path):
    file = (ROOT / "scripts/pretrain/digits/cplearn.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(f"{file}\nbudget: 40\nslurm: {{timeout_min: 5}}\n")
    place = ["--config-path", str(tmp_path), "--config-name", "mine.yaml"]
    words = training([*place, "budget=2", "rungs=1", "optimizer.lr=0.5"])
    assert words == ["cplearn", "pretrain", *place, "optimizer.lr=0.5", "~budget", "~slurm"]
    config = parse_config(composed_by(words[2:], config="cplearn.yaml"))
    assert config.optimizer.lr == 0.5 and config.method == "cplearn"


@pytest.mark.slow
def test_a_search_ends_with_a_page_and_a_command_that_trains(start, tmp_path):
    search = start("budget=2", "rungs=2", "max_epochs=2", "workers=1", "space=bad.yaml")
    out, error = search.communicate(timeout=500)
    assert search.returncode == 0, error
    lines = record(tmp_path)
    assert [(line["trial"], line["rung"], line["epochs"]) for line in lines] == [(0, 0, 1), (0, 1, 2), (1, 0, 1)]
    assert "eps" in lines[2]["failed"] and "trial 1: failed: " in out
    (summary,) = tmp_path.glob(f"{lines[0]['folder']}/*/*/summary.json")  # both rungs in one run, which is finished
    assert json.loads(summary.read_text())["linear_acc1"] == lines[1]["scores"]["linear_acc1"]
    assert len((summary.parent / "metrics.csv").read_text().splitlines()) == 3
    best = out.strip().splitlines()[-1]
    assert best.startswith(
        "  cplearn pretrain --config-path scripts/pretrain/digits --config-name cplearn.yaml data.max"
    )
    assert "proj_output_dim=64" in best and "space" not in best and "budget" not in best
    (folder,) = tmp_path.glob("results/tune/*")
    written = {path.name for path in folder.iterdir() if path.name[0] != "."}
    assert written == {"search.json", "trials.jsonl", "tune.html", "tune.md", "tune.png"}
    assert "linear_acc1" in (folder / "tune.html").read_text()


def progress(folder):
    """Epochs and scores so far."""
    files = [*folder.glob("runs/tune/*/*/*/*/metrics.csv"), *folder.glob("results/tune/*/trials.jsonl")]
    return sum(len(file.read_text().splitlines()) for file in files)


@pytest.mark.slow
def test_a_search_that_is_killed_ten_times_ends_with_the_same_record(start, tmp_path):
    arguments = ["budget=6", "rungs=2", "max_epochs=8", "workers=2", "generation=3", "space=good.yaml"]
    assert start(*arguments).wait(900) == 0
    expected = record(tmp_path)
    for made in ("results", "runs"):
        (tmp_path / made).rename(tmp_path / f"whole-{made}")
    chance = random.Random(0)
    for _ in range(10):
        before, search = progress(tmp_path), start(*arguments)
        while progress(tmp_path) == before:
            assert search.poll() is None
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 0.5))
        os.killpg(search.pid, signal.SIGKILL)
        search.wait()
    assert len(record(tmp_path)) < len(expected)
    assert start(*arguments).wait(900) == 0
    assert record(tmp_path) == expected
