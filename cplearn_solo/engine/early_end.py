"""Ends a training before its last epoch so that a later call can go on, as it does after a kill."""

from __future__ import annotations

import os
import time
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.utilities import rank_zero_only

from cplearn_solo.core.distributed import max_ranks
from cplearn_solo.core.progress import duration
from cplearn_solo.core.stops import asked, postpone

REASONS = ("", "max_time", "signal")  # if processes differ, the later one wins


class PauseAfter(Callback):
    """Ends training after ``epochs``; schedules stay those of the whole run, and its folder stays unfinished."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch + 1 >= self.epochs:
            trainer.should_stop = True


class LastStep(Callback):
    """Ends training after the optimizer step ``step`` of the run, at which schedules end, and a validation.

    Lightning's own ``max_steps`` takes the epoch of a checkpoint for an unfinished one with no batch left.
    """

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if pl_module.steps_done >= self.step:
            trainer.should_stop = True


class EarlyEnd(Callback):
    """Ends training after an epoch if ``max_time``, in Lightning's format, leaves no time for another one, or if a
    signal has asked to end. All processes end after the same epoch, and ``reason`` is one of ``REASONS``.

    After a signal, the current epoch is completed if it ends soon. ``max_time`` applies to each call of the program.
    """

    def __init__(self, max_time: Any) -> None:
        self.reason = ""
        self._limit = Timer(max_time).time_remaining()
        self._began = self._epoch_began = time.monotonic()
        self._epoch_seconds = 0.0  # of the latest whole one
        self._done, self._batches = 0, 1  # of the current epoch

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began, self._batches = time.monotonic(), trainer.num_training_batches
        postpone(self._over_soon)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epoch_began, self._done = time.monotonic(), 0

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self._done += 1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        now = time.monotonic()
        self._epoch_seconds = now - self._epoch_began
        another = trainer.current_epoch + 1 < trainer.max_epochs
        no_time = another and self._limit is not None and now - self._began + self._epoch_seconds > self._limit
        mine = 2 if asked() else int(no_time)
        self.reason = REASONS[int(max_ranks(torch.tensor(mine, device=pl_module.device)))]
        trainer.should_stop = trainer.should_stop or bool(self.reason)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        postpone(None)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        postpone(None)

    def _over_soon(self, patience: float) -> bool:
        passed = time.monotonic() - self._epoch_began
        if not self._epoch_seconds and not self._done:
            return False
        left = max(0.0, (self._epoch_seconds or passed * self._batches / self._done) - passed)
        if left <= patience and rank_zero_only.rank == 0:
            # not printed, as this may interrupt a print
            words = f"stopping at the end of this epoch, in about {duration(left)}; a second signal stops at once\n"
            os.write(2, words.encode())
        return left <= patience
