"""Checkpoints: what they hold besides weights, when they are written, and how they are read."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import lightning
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from cplearn_solo.config.identity import LEARNING_VERSION
from cplearn_solo.config.schema import CheckpointConfig, Config
from cplearn_solo.core.errors import InputError, reason_of
from cplearn_solo.core.files import clear_partial, whole_file, written
from cplearn_solo.data.decoding.samples import Limits
from cplearn_solo.engine.find import CHECKPOINT_KEY, LAST
from cplearn_solo.engine.log import EpochLog


class EpochCheckpoint(Checkpoint):
    """Writes ``checkpoints/last.ckpt`` every ``frequency`` epochs and when training ends, whole or not at all.

    The file is put in its place once the log has the epoch's row, which comes after the end of the epoch: a kill in
    between leaves a row too many, which a resumed run drops, and never a row too few.
    """

    def __init__(self, run: Path, config: CheckpointConfig, log: EpochLog) -> None:
        self.last, self.config, self.rows = run / LAST, config, log
        self._ready: ExitStack | None = None  # closing it puts the checkpoint in its place
        self._epoch = 0  # of that checkpoint

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        done = trainer.current_epoch + 1
        ends = done == trainer.max_epochs or trainer.should_stop
        if done % self.config.frequency and not ends:
            return
        if not trainer.is_global_zero:
            trainer.save_checkpoint(self.last, weights_only=False)  # all take part, and only the first one writes
            return
        with written(self.last):
            self.last.parent.mkdir(exist_ok=True)
        with ExitStack() as stack:
            file = stack.enter_context(whole_file(self.last))
            trainer.save_checkpoint(file, weights_only=False)
            if self.config.keep_prev:
                with whole_file(self.last.with_name(f"epoch={done}.ckpt")) as copy:
                    shutil.copyfile(file, copy)
            self._ready, self._epoch = stack.pop_all(), trainer.current_epoch

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._put_in_place()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._put_in_place()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._ready is None:
            return
        if self.rows.has_row(self._epoch):
            self._put_in_place()
        else:
            clear_partial(self.last.parent)

    def _put_in_place(self) -> None:
        if self._ready is not None:
            ready, self._ready = self._ready, None
            ready.close()


class PlainCheckpointIO(TorchCheckpointIO):
    """Writes directly to the given file: Lightning's own writes another file first, which stays if the disk is full."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with open(path, "wb") as file:
            torch.save(checkpoint, file)


def checkpoint_entry(
    config: Config,
    num_classes: int,
    mean: list[float],
    std: list[float],
    limits: Limits | None = None,
    classes: Sequence[str] = (),
) -> dict[str, Any]:
    """The part of a checkpoint that says how to read the rest, in plain types, so that ``weights_only`` loads it.

    ``limits`` are the values that are black and white in images of more than 8 bits; ``classes`` are names, if known.
    """
    return {
        CHECKPOINT_KEY: {
            "config": config.stored(),
            "num_classes": num_classes,
            "mean": mean,
            "std": std,
            "limits": limits,
            "classes": list(classes),
            "learning_version": LEARNING_VERSION,
            "versions": {"torch": str(torch.__version__), "lightning": lightning.__version__},
        }
    }


def read_checkpoint(path: Path, opened: BinaryIO | None = None) -> dict[str, Any]:
    """The plain types and tensors of our checkpoint, from the file if it is ``opened``; ``InputError`` for others."""
    try:
        checkpoint = torch.load(opened or path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is damaged or no checkpoint: {reason_of(error)}") from error
    if not isinstance(checkpoint, dict) or CHECKPOINT_KEY not in checkpoint or "state_dict" not in checkpoint:
        raise InputError(f"{path} is not a checkpoint of this program: it has no {CHECKPOINT_KEY!r} entry")
    return checkpoint
