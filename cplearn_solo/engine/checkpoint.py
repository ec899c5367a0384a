"""Checkpoints: written after epochs, read from a run folder or a file."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from cplearn_solo.config.schema import CheckpointConfig
from cplearn_solo.core.errors import InputError
from cplearn_solo.engine.module import CHECKPOINT_KEY

LAST = "checkpoints/last.ckpt"


class EpochCheckpoint(Checkpoint):
    """Writes ``checkpoints/last.ckpt`` every ``frequency`` epochs and when training ends, whole or not at all."""

    def __init__(self, run: Path, config: CheckpointConfig) -> None:
        self.last, self.config = run / LAST, config

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        done = trainer.current_epoch + 1
        last = done == trainer.max_epochs or trainer.should_stop or 0 < trainer.max_steps <= trainer.global_step
        if done % self.config.frequency and not last:
            return
        partial = self.last.with_suffix(".partial")
        trainer.save_checkpoint(partial)
        if trainer.is_global_zero:
            os.replace(partial, self.last)
            if self.config.keep_prev:
                shutil.copyfile(self.last, self.last.with_name(f"epoch={done}.ckpt"))


def find_checkpoint(path: str | Path) -> tuple[Path, Path | None]:
    """Checkpoint and run folder of a path that is either; raises ``InputError`` where it is neither."""
    path = Path(path)
    if path.is_dir():
        if not (path / "config.yaml").is_file():
            raise InputError(f"{path} is not a run folder: it has no config.yaml")
        if not (path / LAST).is_file():
            raise InputError(f"{path} has no {LAST}: the run ended before its first checkpoint")
        return path / LAST, path
    if not path.is_file():
        raise InputError(f"{path} does not exist: give a run folder or a checkpoint")
    run = path.resolve().parent.parent
    return path, run if (run / "config.yaml").is_file() else None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The contents of a checkpoint of ours, plain types and tensors only."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} is damaged or no checkpoint: {reason}") from error
    if not isinstance(checkpoint, dict) or CHECKPOINT_KEY not in checkpoint or "state_dict" not in checkpoint:
        raise InputError(f"{path} is not a checkpoint of this program: it has no {CHECKPOINT_KEY!r} entry")
    return checkpoint
