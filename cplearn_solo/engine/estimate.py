"""How long a run will take, and how much memory and disk, from its own first steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from cplearn_solo.core.cores import cores
from cplearn_solo.core.distributed import max_ranks
from cplearn_solo.core.memory import memory_taken
from cplearn_solo.core.numbers import counted, digits
from cplearn_solo.core.progress import duration, say
from cplearn_solo.data import ImageSet, Splits
from cplearn_solo.engine.batches import limited
from cplearn_solo.engine.module import Pretrainer

FIRST = 5  # steps that are not counted: workers start, libraries choose their kernels, a GPU's steps are captured
FEWEST = 3  # steps that are counted
ENOUGH, SHARE = 5.0, 0.02  # seconds of counted steps, or their share of the run: either is enough
PASSES = 3  # a training step, forward and backward, costs so many forward passes

# Seconds of the work after training, from the run's images, the seconds of a forward pass of one, and their features.
Afterwards = Callable[[Splits, float, int], float]


class Estimate(Callback):
    """Times the first steps of a run without changing them, and prints what the whole run takes.

    A step takes the mean of those timed. The end of an epoch, with its checkpoint, takes the extra time of the step
    after it, if that was timed; a validation the mean of those timed, else a multiple of a step. With ``ends`` training
    ends then.
    """

    def __init__(self, afterwards: Afterwards, *, ends: bool = False) -> None:
        self.afterwards, self.ends, self._told = afterwards, ends, False
        self._steps = 0
        self._within: list[float] = []  # seconds of steps that follow another step of their epoch
        self._between: list[float] = []  # seconds of steps that begin an epoch
        self._validations: list[float] = []
        self._validated = self._paused = 0.0  # when the latest validation began; seconds of it since the latest step
        self._started = self._counted = self._last = 0.0  # starts of run and counting; end of the latest step

    def on_train_start(self, trainer: Trainer, pl_module: Pretrainer) -> None:
        self._started = time.perf_counter()

    def on_validation_start(self, trainer: Trainer, pl_module: Pretrainer) -> None:
        self._validated = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: Pretrainer) -> None:
        self._paused = time.perf_counter() - self._validated
        if self._steps >= FIRST:
            self._validations.append(self._paused)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Pretrainer, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._told:
            return
        self._steps += 1
        left = _batches_left(trainer, batch_idx, pl_module)
        if self._steps <= FIRST:
            _wait_for(pl_module)
            self._counted = self._last = time.perf_counter()
        else:
            now = time.perf_counter()
            (self._within if batch_idx else self._between).append(now - self._last - self._paused)
            self._last, passed, counted = now, now - self._counted, self._steps - FIRST
            enough = min(ENOUGH, SHARE * (passed + passed / counted * left))
            if counted >= FEWEST and self._agreed(passed >= enough, pl_module.device):
                self._tell(trainer, pl_module, left)
        self._paused = 0.0
        if self.ends and (self._told or not left):
            trainer.should_stop, trainer.limit_val_batches = True, 0

    def on_train_end(self, trainer: Trainer, pl_module: Pretrainer) -> None:
        if self.ends and not self._told:  # there were no more steps
            self._tell(trainer, pl_module, 0)

    def _agreed(self, enough: bool, device: torch.device) -> bool:
        """``enough``, or with ``ends`` whether any process has enough: clocks differ, and all have to end together."""
        return bool(max_ranks(torch.tensor(int(enough), device=device))) if self.ends else enough

    def _tell(self, trainer: Trainer, module: Pretrainer, left: int) -> None:
        self._told = True
        _wait_for(module)  # until a GPU has finished its work
        waited = time.perf_counter() - self._last
        within, between = sum(self._within) + waited, sum(self._between)
        step = within / len(self._within) if self._within else between / max(1, len(self._between))
        splits = trainer.datamodule.splits  # type: ignore[attr-defined]
        views = sum(augmentation.num_crops for augmentation in module.config.augmentations)
        an_image = step / (module.config.optimizer.batch_size * views * PASSES)
        an_epoch = max(0.0, between / len(self._between) - step) if self._between else 0.0
        seen = self._validations
        a_validation = sum(seen) / len(seen) if seen else an_image * _validated_images(trainer)
        rest = left * step + left / trainer.num_training_batches * an_epoch
        rest += _validations_left(trainer, left) * a_validation
        rest += self.afterwards(splits, an_image, int(module.backbone.num_features))
        if trainer.is_global_zero:
            say(_line(splits.train, time.perf_counter() - self._started + rest, trainer, module))


def _batches_left(trainer: Trainer, batch_idx: int, module: Pretrainer) -> int:
    """Batches after this one, in all epochs."""
    max_steps = module.config.max_steps
    epochs_left = (trainer.max_epochs or 0) - trainer.current_epoch
    left = epochs_left * int(trainer.num_training_batches) - batch_idx - 1
    if max_steps is None:
        return left
    return min(left, max(0, max_steps - module.steps_done) * trainer.accumulate_grad_batches)


def _validations_left(trainer: Trainer, left: int) -> float:
    """Validations in the ``left`` batches that remain, by ``check_val_every_n_epoch`` and ``val_check_interval``."""
    interval, every = trainer.val_check_batch or math.inf, trainer.check_val_every_n_epoch
    if every is None:
        return left // interval
    epochs = (trainer.max_epochs or 0) // every - trainer.current_epoch // every
    return epochs * (trainer.num_training_batches // interval)


def _validated_images(trainer: Trainer) -> int:
    """Images of a validation, in each process."""
    loaders = trainer.datamodule  # type: ignore[attr-defined]
    if loaders.splits.test is None:
        return 0
    batches = limited(loaders.val_batches(trainer.world_size), trainer.limit_val_batches)
    return min(len(loaders.splits.test), batches * loaders.config.optimizer.batch_size)


def _line(images: ImageSet, seconds: float, trainer: Trainer, module: Pretrainer) -> str:
    config, codes = module.config, module.method.codes_total
    what = [f"{len(images)} images", *([f"{codes} codes"] if codes else [])]
    what.append(f"{config.backbone.name} at {config.augmentations[0].crop_size} pixels")
    device = trainer.strategy.root_device
    where = counted(cores(), "CPU core")
    if device.type != "cpu":
        where = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    if trainer.world_size > 1:
        where = f"{trainer.world_size} devices"
    taken = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else memory_taken()
    takes = [f"about {duration(seconds)} on {where}", *([f"{taken / 1e9:.1f} GB"] if taken else [])]
    line = f"{', '.join(what)}: {', '.join(takes)}"
    if not config.checkpoint.enabled:
        return line
    states = [module.state_dict(), *(optimizer.state_dict() for optimizer in trainer.optimizers)]
    return f"{line}; last.ckpt {digits(_bytes(states) / 1e6, 3)} MB"


def _bytes(held: Any) -> int:
    """Bytes of the tensors in a state, at any depth."""
    if isinstance(held, Tensor):
        return held.numel() * held.element_size()
    inner = held.values() if isinstance(held, dict) else held if isinstance(held, (list, tuple)) else ()
    return sum(map(_bytes, inner))


def _wait_for(module: Pretrainer) -> None:
    if module.device.type == "cuda":
        torch.cuda.synchronize(module.device)
