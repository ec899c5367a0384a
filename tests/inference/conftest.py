"""Models that were never trained, as checkpoints."""

import pytest
from support.checkpoints import write_checkpoint

from cplearn_solo.inference.pretrained import load_pretrained


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Writes a checkpoint as ``write_checkpoint`` does, in a folder of its own."""
    return lambda method="cplearn", **keys: write_checkpoint(tmp_path_factory.mktemp(method), method, **keys)


@pytest.fixture(scope="session")
def cplearn(checkpoint):
    return checkpoint()


@pytest.fixture
def model(cplearn):
    return load_pretrained(cplearn)
