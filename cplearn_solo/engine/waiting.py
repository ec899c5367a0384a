"""How much of an epoch is spent waiting for images."""

from __future__ import annotations

from lightning import Callback, Trainer

from cplearn_solo.core.cores import cores
from cplearn_solo.core.progress import say
from cplearn_solo.data.file_loader import FileLoader
from cplearn_solo.engine.module import Pretrainer

SHARE, SECONDS = 0.2, 5.0  # of the first epoch; advice is printed if both are larger


class WaitingWatch(Callback):
    """Logs ``train_waiting``, the share of an epoch's seconds in which the next batch of image files was waited for.

    After the first epoch it prints advice if the share was large. Images in memory are never waited for.
    """

    def __init__(self) -> None:
        self._told = False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Pretrainer) -> None:
        loader = trainer.train_dataloader
        if not isinstance(loader, FileLoader):
            return
        share = loader.waited / pl_module.clock.seconds()
        pl_module.log("train_waiting", share)
        if not self._told and trainer.is_global_zero and share > SHARE and loader.waited > SECONDS:
            say(advice(share, loader.num_workers, max(1, cores() // trainer.num_devices)))
        self._told = True


def advice(share: float, workers: int, cores: int) -> str:
    """Advice for training processes with so many workers and cores each."""
    more = f"a higher data.num_workers ({workers} now, for {cores} cores), " if workers < cores else ""
    return f"{share:.0%} of the epoch was waiting for images: {more}image files of fewer pixels or a faster disk help"
