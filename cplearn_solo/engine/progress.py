"""The progress of a training."""

from __future__ import annotations

import time
from typing import Any

from lightning import Callback, Trainer
from tqdm import tqdm

from cplearn_solo.core.distributed import world_size
from cplearn_solo.core.progress import SILENCE, duration, say
from cplearn_solo.engine.module import Pretrainer


class RunProgress(Callback):
    """One bar for the whole run, with epoch, images a second, time left and loss; without ``bar`` a line every 30 s.

    The loss is read only once a second, or for a line: reading it waits for a GPU.
    """

    def __init__(self, *, bar: bool) -> None:
        self._wanted, self._bar = bar, None
        self._began = self._told = time.perf_counter()
        self._first = 0  # the run's batch at which this process began

    def on_train_start(self, trainer: Trainer, pl_module: Pretrainer) -> None:
        self._first = trainer.current_epoch * trainer.num_training_batches
        self._began = self._told = time.perf_counter()
        if self._wanted and trainer.is_global_zero:
            images = self._images(pl_module)
            self._bar = tqdm(
                total=trainer.max_epochs * trainer.num_training_batches * images,
                initial=self._first * images,
                unit=" images",
                unit_scale=True,
                dynamic_ncols=True,
                leave=False,
            )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Pretrainer, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not trainer.is_global_zero:
            return
        if self._bar is not None:
            self._bar.update(self._images(pl_module))
        now = time.perf_counter()
        if now - self._told < (SILENCE if self._bar is None else 1.0):
            return
        self._told, epoch = now, f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        loss = f"loss {outputs['loss'].item():.4g}"
        if self._bar is not None:
            self._bar.set_description(epoch, refresh=False)
            self._bar.set_postfix_str(loss, refresh=False)
            return
        batches = trainer.num_training_batches
        done = trainer.current_epoch * batches + batch_idx + 1
        a_batch = (now - self._began) / (done - self._first)
        left = duration(a_batch * (trainer.max_epochs * batches - done))
        rate = f"{self._images(pl_module) / a_batch:.0f} images/s"
        say(f"{epoch}  step {batch_idx + 1}/{batches}  {loss}  {rate}  {left} left")

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.is_global_zero and self._bar is None and time.perf_counter() - self._told > SILENCE:
            self._told = time.perf_counter()
            say(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  validation")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Pretrainer) -> None:
        self._told = time.perf_counter()  # the log prints a line then

    def on_train_end(self, trainer: Trainer, pl_module: Pretrainer) -> None:
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: Pretrainer, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def _images(self, module: Pretrainer) -> int:
        return module.config.optimizer.batch_size * world_size()
