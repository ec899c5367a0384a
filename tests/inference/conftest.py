"""Models that were never trained, as checkpoints."""

import pytest
import torch
from support.configs import tiny

from cplearn_solo.config.read import parse_config
from cplearn_solo.engine.checkpoint import checkpoint_entry
from cplearn_solo.engine.module import Pretrainer

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A checkpoint of a method with seeded weights, whose keys of ``data`` are ``data``."""

    def write(method="cplearn", **data):
        folder = tmp_path_factory.mktemp(method)
        config = parse_config(tiny(folder, method, data=data))
        channels = config.data.channels
        statistics = {"num_classes": 10, "mean": MEAN[:channels], "std": STD[:channels]}
        torch.manual_seed(0)
        module = Pretrainer(config, **statistics)
        entry = checkpoint_entry(config, **statistics)
        torch.save({"state_dict": module.state_dict(), **entry}, folder / "model.ckpt")
        return folder / "model.ckpt"

    return write


@pytest.fixture(scope="session")
def cplearn(checkpoint):
    return checkpoint()
