"""Run folders, and runs that end before their time."""

import pytest

from cplearn_solo.config.read import parse_config
from cplearn_solo.engine.module import Pretrainer
from cplearn_solo.engine.train import pretrain


class Killed(Exception):
    """Stands for whatever ends a process."""


def folders(root):
    """All run folders below ``root``, oldest first."""
    return sorted(path.parent for path in root.glob("*/*/config.yaml"))


def train_until(epoch, config, monkeypatch):
    """Trains as ``config`` says, but is killed when ``epoch`` begins."""
    start = Pretrainer.on_train_epoch_start

    def killed(self):
        if self.current_epoch == epoch:
            raise Killed
        start(self)

    with monkeypatch.context() as context:
        context.setattr(Pretrainer, "on_train_epoch_start", killed)
        with pytest.raises(Killed):
            pretrain(parse_config(config))
