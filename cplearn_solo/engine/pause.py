"""Ends a training early in a way that a later call goes on from, as it does after a kill."""

from __future__ import annotations

from lightning import Callback, LightningModule, Trainer


class PauseAfter(Callback):
    """Ends training after ``epochs``; schedules stay those of the whole run, and its folder stays unfinished."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch + 1 >= self.epochs:
            trainer.should_stop = True
