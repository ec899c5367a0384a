"""``-m``: one job for each combination of values, each of which its own command line would repeat."""

import json
import logging
import os
import sys
from importlib import import_module

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from support.processes import python

from cplearn_solo.cli.hydra_app import hydra_app
from cplearn_solo.cli.main import table, tune
from cplearn_solo.cli.sweep import print_sweep
from cplearn_solo.core.errors import InputError

pytestmark = pytest.mark.integration


def sweep(task, *arguments, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["cplearn", "pretrain", *arguments])
    hydra_app(
        lambda config, _: task(config), list(arguments), program="pretrain", folder="pretrain/digits",
        config="cplearn.yaml", about="",
    )  # fmt: skip


def test_each_job_has_its_values_and_a_command_line_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    jobs = []

    def task(config):
        assert not HydraConfig.initialized()  # or Lightning would start processes in Hydra's way
        os.environ["LOCAL_RANK"] = "0"  # as Lightning does, for all that follows
        jobs.append((config.seed, config.method_kwargs.beta, config.name, sys.argv))

    sweep(task, "-m", "seed=1,2", "method_kwargs.beta=range(3,5)", "name='a,b=${seed}'", monkeypatch=monkeypatch)
    assert [job[:3] for job in jobs] == [(s, b, f"a,b={s}") for s in (1, 2) for b in (3, 4)]
    assert "LOCAL_RANK" not in os.environ and "HYDRA_FULL_ERROR" not in os.environ
    assert sys.argv == ["cplearn", "pretrain", "-m", "seed=1,2", "method_kwargs.beta=range(3,5)", "name='a,b=${seed}'"]
    assert not any(tmp_path.iterdir())  # neither a record of Hydra's

    repeated = []
    for *_, argv in jobs:
        assert argv[:2] == ["cplearn", "pretrain"]
        sweep(lambda config: repeated.append((config.seed, config.method_kwargs.beta, config.name)), *argv[2:],
              monkeypatch=monkeypatch)  # fmt: skip
    assert repeated == [job[:3] for job in jobs]


def test_a_table_of_runs_has_their_lists_of_words(capsys, monkeypatch):
    """Rich takes [red] for a style."""
    monkeypatch.setenv("COLUMNS", "100")
    print_sweep([([f"data.train_path=[{name}]", f"seed={seed}"], {"ami": 0.5}) for name in "ab" for seed in (1, 2)])
    out = capsys.readouterr().out
    assert "data.train_path=[a] seed=1" in out and "mean data.train_path=[b]" in out


def test_the_command_that_a_job_prints_is_of_that_job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    typed = []
    tuning, tables = (import_module(f"cplearn_solo.cli.{name}") for name in ("tune", "table"))
    monkeypatch.setattr(tuning, "tune_task", lambda raw, words, place: typed.append([*place, *words]))
    monkeypatch.setattr(tables, "table_task", lambda raw, command: typed.append(command))
    for program, arguments in (
        (tune, ["-m", "budget=3", "method_kwargs.beta=0.5,1"]),
        (tune, ["budget=3", "-cn", "vicreg"]),
        (table, ["seeds=1", "--multirun", "scale=mini,midi", "run=false"]),
    ):
        monkeypatch.setattr(sys, "argv", ["cplearn", program.__name__, *arguments])
        program(arguments)
    digits = ["--config-path", "scripts/pretrain/digits", "--config-name", "cplearn", "budget=3"]
    table1 = "cplearn table --config-path scripts/tables --config-name table1 seeds=1"
    assert typed == [
        *([*digits, f"method_kwargs.beta={beta}"] for beta in (0.5, 1)),
        [*digits[:2], "budget=3", "-cn", "vicreg"],
        *(f"{table1} scale={scale}" for scale in ("mini", "midi")),
    ]


def test_what_other_packages_say_is_not_silenced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    heard = []
    logging.getLogger("a.package")  # is there before
    sweep(lambda _: heard.append(logging.getLogger("a.package").isEnabledFor(logging.WARNING)), "-m", "seed=1,2",
          monkeypatch=monkeypatch)  # fmt: skip
    assert heard == [True, True]


def test_one_bad_job_is_one_line_and_the_others_are_done(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    done = []

    def task(config):
        if config.seed == 1:
            raise InputError("seed = 1: must be another")
        done.append(config.seed)

    with pytest.raises(SystemExit, match="2"):
        sweep(task, "-m", "seed=0,1,2", monkeypatch=monkeypatch)
    assert done == [0, 2]
    assert capfd.readouterr().err == "pretrain: error: seed = 1: must be another\n"


def test_all_bad_jobs_are_told_beside_the_table_of_the_others(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)

    def task(config):
        if config.seed > 1:
            raise InputError(f"seed = {config.seed}: must be another")
        return {"linear_acc1": 0.5 + 0.2 * config.seed}

    with pytest.raises(SystemExit, match="2"):
        sweep(task, "-m", "seed=0,1,2,3", monkeypatch=monkeypatch)
    out, error = capfd.readouterr()
    assert ["mean", "0.600"] in [line.replace("│", " ").split() for line in out.splitlines()]
    assert error == "pretrain: error: seed = 2: must be another; seed = 3: must be another\n"


def test_a_table_of_all_runs_with_mean_and_spread_over_seeds(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def task(config):
        return {"linear_acc1": 0.5 + 0.2 * config.seed + config.method_kwargs.beta, "verdict": "healthy"}

    sweep(task, "-m", "seed=0,1", "method_kwargs.beta=0,0.25", "max_epochs=1", monkeypatch=monkeypatch)
    rows = [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines()]
    beta = "method_kwargs.beta="
    for row in (
        ["seed=0", f"{beta}0", "0.500", "healthy"],
        ["seed=1", f"{beta}0.25", "0.950", "healthy"],
        ["mean", f"{beta}0", "0.600"],
        ["spread", f"{beta}0", "0.141"],  # 0.2 / sqrt 2
        ["mean", f"{beta}0.25", "0.850"],
    ):
        assert row in rows


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["seed=0,1"], "with -m there is a run for each"),
        (["-m", "seed=interval(0,1)"], "does not support sweep type"),
        (["-m", "hydra/launcher=nowhere"], "nowhere"),
        (["seed@x=1"], "seed@x"),
        (["data.train path="], "data.train path"),
        (["~nothing"], "nothing"),
    ],
)
def test_what_cannot_be_composed_is_one_line(arguments, words, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        sweep(lambda config: None, *arguments, monkeypatch=monkeypatch)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("pretrain: error: ") and words in line


def test_groups_interpolations_and_keys_taken_away(tmp_path, monkeypatch):
    """A configuration folder of a user's own, with a defaults list."""
    (tmp_path / "augmentations").mkdir()
    for name, size in (("small", 8), ("large", 16)):
        (tmp_path / f"augmentations/{name}.yaml").write_text(f"- {{crop_size: {size}, num_crops: 2}}\n")
    (tmp_path / "it.yaml").write_text("defaults: [_self_, {augmentations: small}]\nname: of-${seed}\nseed: 1\nx: 2\n")
    found = []
    arguments = ["-cp", str(tmp_path), "-cn", "it", "augmentations=large", "~x", "seed=7", "hydra.verbose=true"]
    sweep(found.append, *arguments, monkeypatch=monkeypatch)
    values = OmegaConf.to_container(found[0], resolve=True)
    assert values == {"augmentations": [{"crop_size": 16, "num_crops": 2}], "name": "of-7", "seed": 7}


@pytest.mark.parametrize("launcher", ["submitit_local", "joblib"])
def test_launchers_run_jobs_in_processes_of_their_own(launcher, tmp_path, monkeypatch):
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.partition('_')[0]}_launcher", reason="it is an extra")
    monkeypatch.chdir(tmp_path)

    def task(config):
        (tmp_path / f"{config.seed}").write_text(" ".join([str(os.getpid()), *sys.argv[-1:]]))

    sweep(task, "-m", "seed=1,2", f"hydra/launcher={launcher}", monkeypatch=monkeypatch)
    for seed in (1, 2):
        process, last = (tmp_path / str(seed)).read_text().split()
        assert int(process) != os.getpid() and last == f"++seed={seed}"


@pytest.mark.slow
def test_jobs_on_two_devices_follow_each_other(tmp_path):
    """Processes that the Trainer starts get the job at hand, and leave nothing to the next job."""
    program = tmp_path / "program.py"
    program.write_text("from cplearn_solo.cli import main\n\nif __name__ == '__main__':\n    main()\n")
    arguments = ["-m", "seed=0,1", "devices=2", "strategy=ddp", "accelerator=cpu", "max_epochs=1", "name=it"]
    quick = ["data.max_train_images=128", "evaluation.linear=false", "evaluation.clustering=false"]
    done = python(program, "pretrain", *arguments, *quick, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summaries = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("runs/it/*/summary.json"))]
    assert [summary["seed"] for summary in summaries] == [0, 1]
    assert done.stdout.count("devices 2") == 2
