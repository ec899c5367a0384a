"""Models that were never trained, as checkpoints."""

import pytest
from support.checkpoints import write_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Writes a checkpoint of a method, whose keys of ``data`` are ``data``."""
    return lambda method="cplearn", **data: write_checkpoint(tmp_path_factory.mktemp(method), method, **data)


@pytest.fixture(scope="session")
def cplearn(checkpoint):
    return checkpoint()
