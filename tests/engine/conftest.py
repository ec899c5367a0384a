"""Runs that several tests look at, trained once."""

import pytest
from omegaconf import OmegaConf
from support.configs import tiny
from support.runs import folders

from cplearn_solo.cli.tasks import pretrain_task


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder of a finished run of four epochs, each with its checkpoint. Tests leave it as it is."""
    root = tmp_path_factory.mktemp("finished")
    pretrain_task(OmegaConf.create(tiny(root, checkpoint={"keep_prev": True})))
    (run,) = folders(root)
    return run
