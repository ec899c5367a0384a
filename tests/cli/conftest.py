"""The programs as a user types them: in this process, which has imported everything already, or in one of their own."""

import sys

import pytest
from support.checkpoints import write_checkpoint
from support.processes import MAIN, python

from cplearn_solo.cli import main

QUICK = ["data.max_train_images=128", "max_epochs=2", "accelerator=cpu", "enable_progress_bar=false"]


@pytest.fixture
def here(tmp_path, monkeypatch, capfd):
    """Exit code, standard output and standard error of ``cplearn ...`` in ``tmp_path``."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["cplearn", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        return code, *capfd.readouterr()

    return call


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A quick run that kept its checkpoints, made in a folder outside the repository by a process of its own."""
    folder = tmp_path_factory.mktemp("user")
    keys = ("--config-name", "cplearn.yaml", "checkpoint.keep_prev=true")
    done = python(*MAIN, "pretrain", *QUICK, *keys, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "cplearn linear runs/cplearn-digits/" in done.stdout and "kmeans_ami" in done.stdout
    assert sorted(p.name for p in folder.iterdir()) == ["runs"]  # nothing else is left behind
    (path,) = folder.glob("runs/cplearn-digits/*")
    return path


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A checkpoint that was never trained."""
    return write_checkpoint(tmp_path_factory.mktemp("model"))
