"""What SECURITY.md promises: files of others run no code, and nothing leaves the machine."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from support.configs import tiny

from cplearn_solo import load_backbone
from cplearn_solo.cli.main import COMMANDS
from cplearn_solo.collapse.arrays import read_arrays
from cplearn_solo.config.compose import composed
from cplearn_solo.core.errors import InputError
from cplearn_solo.engine.checkpoint import read_checkpoint

ROOT = Path(__file__).parents[1]


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.fixture
def proof(tmp_path):
    """A folder that is there once a file has run code; the pickle does make it."""
    folder = tmp_path / "proof"
    pickle.loads(pickle.dumps(Evil(folder)))
    folder.rmdir()
    yield folder
    assert not folder.exists()


@pytest.mark.parametrize("name", ["a.ckpt", "a.pt", "a.npy", "a.npz"])
def test_a_file_that_would_run_code_is_refused(name, tmp_path, proof):
    file = tmp_path / name
    if file.suffix in (".ckpt", ".pt"):
        torch.save({"state_dict": {}, "cplearn_solo": {}, "features": Evil(proof)}, file)
    else:
        array = np.array([Evil(proof)], dtype=object)
        np.save(file, array) if file.suffix == ".npy" else np.savez(file, features=array)
    readers = (read_checkpoint, load_backbone) if file.suffix in (".ckpt", ".pt") else ()
    for read in (*readers, read_arrays):
        with pytest.raises(InputError, match="damaged") as error:
            read(file)
        assert "\n" not in str(error.value)


def test_a_bare_pickle_under_any_name_is_refused(tmp_path, proof, capsys):
    for name in ("a.ckpt", "a.npz", "a.npy", "a.pt"):
        (tmp_path / name).write_bytes(pickle.dumps({"features": Evil(proof)}, protocol=2))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as file:
        file.writestr("features.npy", pickle.dumps(Evil(proof)))
    for file in sorted(tmp_path.glob("*.*")):
        with pytest.raises(SystemExit) as end:
            COMMANDS["collapse"]([str(file), "--output", str(tmp_path / "report")])
        assert end.value.code == 2 and capsys.readouterr().err.count("\n") == 1


def test_a_configuration_makes_no_python_objects(tmp_path, proof):
    (tmp_path / "evil.yaml").write_text(f"seed: !!python/object/apply:os.mkdir ['{proof}']\n")
    with pytest.raises(Exception, match="python/object/apply"):
        composed(tmp_path, "evil")


PROGRAM = """
import json, socket, sys

def refused(self, address, *_):
    raise AssertionError(f"a connection to {address}")

socket.socket.connect = socket.socket.connect_ex = refused
socket.getaddrinfo = refused
from cplearn_solo.cli.tasks import pretrain_task
from omegaconf import OmegaConf
pretrain_task(OmegaConf.create(json.loads(sys.argv[1])))
"""


@pytest.mark.integration
def test_a_pretraining_connects_to_nothing(tmp_path):
    """In a network namespace without any route where those can be made, and with sockets that refuse."""
    config = json.dumps(tiny(tmp_path, max_epochs=1, data={"max_train_images": 100, "max_val_images": 100}))
    command = [*_alone(), sys.executable, "-c", PROGRAM, config]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    assert list(tmp_path.glob("*/*/summary.json"))


def _alone():
    """What begins a command that is to see no network, as far as this machine lets us."""
    without = ["unshare", "-n"] if shutil.which("unshare") else []
    return without if without and subprocess.run([*without, "true"], capture_output=True).returncode == 0 else []
