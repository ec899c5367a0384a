"""One pretraining run: data, module, Trainer, run folder."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning import LightningDataModule, Trainer, seed_everything

from cplearn_solo.config.schema import Config
from cplearn_solo.core.distributed import rank, world_size
from cplearn_solo.core.errors import InputError, NotWritten, require
from cplearn_solo.core.messages import keep_messages
from cplearn_solo.core.out_of_memory import OutOfMemory, large_batch_told
from cplearn_solo.core.precision import matmul_precision
from cplearn_solo.core.processes import end_with_parent
from cplearn_solo.data import Splits, eval_loader, load_splits, tell_lost_classes, train_loader
from cplearn_solo.data.file_loader import lost_workers_told
from cplearn_solo.data.inspect import in_short
from cplearn_solo.data.memory_loader import MemoryEvalLoader, MemoryLoader
from cplearn_solo.data.notes import say_once
from cplearn_solo.engine.allocator import keep_freed_memory
from cplearn_solo.engine.batches import check_batches, limited
from cplearn_solo.engine.captured import captures
from cplearn_solo.engine.checkpoint import EpochCheckpoint, read_checkpoint
from cplearn_solo.engine.devices import check_cores, check_device
from cplearn_solo.engine.early_end import EarlyEnd, PauseAfter
from cplearn_solo.engine.epoch import NotFinite
from cplearn_solo.engine.estimate import Estimate
from cplearn_solo.engine.find import LAST
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.engine.lost import lost_processes_told
from cplearn_solo.engine.module import Pretrainer, image_statistics
from cplearn_solo.engine.networks import check_scored_size
from cplearn_solo.engine.optim import lr_scale
from cplearn_solo.engine.runs import DERIVED, RunFolder, how_to_go_on, open_run, run_of_parent, shared_with_processes
from cplearn_solo.engine.sharding import ShardedStrategy
from cplearn_solo.engine.trainer import build_trainer, extra_loggers
from cplearn_solo.engine.waiting import WaitingWatch
from cplearn_solo.engine.watch import CollapseWatch
from cplearn_solo.engine.weights import start_from_weights
from cplearn_solo.methods.build import method_keys_named
from cplearn_solo.metrics.verdict import Verdict

SMALLER = "a smaller optimizer.lr or precision=32 may help"  # where losses or weights are not finite


@dataclass(frozen=True)
class Trained:
    """A training that has ended; ``stopped_for`` is the collapse that ended it, if one did.

    ``unfinished`` says why it ended before its time and how to go on; it is empty for one that is finished.
    """

    module: Pretrainer
    splits: Splits
    run: RunFolder
    stopped_for: Verdict | None
    unfinished: str = ""


class Prepared(NamedTuple):
    """Everything that a training needs except its run folder."""

    trainer: Trainer
    module: Pretrainer
    splits: Splits
    loaders: Loaders


def pretrain(config: Config, *, until: int | None = None, estimate: Estimate | None = None) -> Trained:
    """Trains as ``config`` says and leaves checkpoints, log and derived values in the run folder.

    Raises ``InputError`` for invalid input, before the folder is made. ``until``: pauses after so many epochs, with
    schedules for all of ``max_epochs``; another call goes on from there, as after a kill. ``estimate`` prints what the
    run takes once it has made some steps.
    """
    require(not config.dry_run, "dry_run", True, "false here: cplearn pretrain alone has it")
    trainer, module, splits, loaders = _prepared(config)
    derived = _derived(config, module, trainer.world_size, _steps(config, trainer, loaders))
    run = _open_run(config, trainer, module, splits.fingerprint)
    watch = CollapseWatch(config, derived)
    trainer.callbacks += [watch, WaitingWatch(), *([estimate] if estimate else [])]
    if until is not None:
        trainer.callbacks.append(PauseAfter(until))
    try:
        with shared_with_processes(run), _matmul_precision(config, trainer):
            unfinished = _fit(trainer, module, loaders, run, derived, epochs=until or trainer.max_epochs)
        if isinstance(trainer.strategy, ShardedStrategy):  # what follows is done by one process
            state, device = trainer.strategy.whole_state(), module.device
            module = Pretrainer(config, **image_statistics(splits.train)).to(device)
            module.load_state_dict(state)
    except BaseException:
        run.close()
        raise
    return Trained(module, splits, run, watch.stopped_for, unfinished)


def rehearse(config: Config, estimate: Estimate) -> None:
    """Trains until ``estimate`` has printed what the run takes and ended it; nothing is kept."""
    trainer, module, _, loaders = _prepared(config)
    _steps(config, trainer, loaders)
    trainer.callbacks.append(estimate)
    try:
        with _matmul_precision(config, trainer), _losses_told(config, trainer):
            trainer.fit(module, datamodule=loaders)
    except NotFinite as error:
        raise InputError(f"{error} ({SMALLER})") from error
    except (KeyboardInterrupt, SystemExit) as end:  # Lightning turns signals into the latter
        raise KeyboardInterrupt from end


def _prepared(config: Config) -> Prepared:
    """Everything but the run folder; raises ``InputError`` for invalid input."""
    keep_freed_memory()
    seed_everything(config.seed, verbose=False)
    trainer = build_trainer(config)
    check_cores(trainer)
    first = config.augmentations[0]
    splits = load_splits(config.data, seed=config.seed, mean=first.mean, std=first.std)
    say_once(in_short(splits.train, splits.test))
    if splits.test is not None:
        tell_lost_classes(splits.train, splits.test)
    module = Pretrainer(config, **image_statistics(splits.train))
    start_from_weights(module)
    for images in filter(None, (splits.train, splits.test)):
        check_scored_size(module.backbone, config, images)
    with method_keys_named(config.method):
        module.method.check_ranks(trainer.world_size)
    check_device(config, module.method, trainer.strategy.root_device)
    module.build_optimizer(trainer.world_size)
    if captures(config, module.method, trainer):
        module.capture_steps()
    if config.performance.compile:
        _compile(module)
    if splits.test is None:
        wanted = "false where no images are held out; data.val_path or data.val_split names some"
        require(not config.knn_eval.enabled, "knn_eval.enabled", True, wanted)
        trainer.limit_val_batches = 0
    loaders = Loaders(splits, config)
    check_batches(trainer, loaders)
    if config.max_steps:
        # everything that counts epochs must know which one is the last
        epochs = -(-config.max_steps // _steps(config, trainer, loaders))
        trainer.fit_loop.max_epochs = min(trainer.max_epochs or epochs, epochs)
    return Prepared(trainer, module, splits, loaders)


class Loaders(LightningDataModule):
    """Loaders of a run, made in each process once it knows its rank."""

    def __init__(self, splits: Splits, config: Config) -> None:
        super().__init__()
        self.splits, self.config = splits, config

    def train_dataloader(self) -> Any:
        colour = self.trainer.strategy.root_device.type == "cpu"  # then workers apply colour, in parallel
        return self._on_device(self._train(rank=rank(), world=world_size(), colour=colour))

    def val_dataloader(self) -> Any:
        return self._on_device(self._val(rank=rank(), world=world_size()))

    def batches(self, world: int) -> int:
        """Batches that each of ``world`` processes trains on in an epoch; ``InputError`` if there is not one."""
        return len(self._train(rank=0, world=world))

    def val_batches(self, world: int, rank: int = 0) -> int:
        """Batches of a validation in the process ``rank`` of ``world``; the first has the most of them."""
        return len(self._val(rank=rank, world=world))

    def _on_device(self, loader: Any) -> Any:
        """Moves images in memory to a GPU that has room for them, so that steps do not wait for copies."""
        device = self.trainer.strategy.root_device
        in_memory = isinstance(loader, (MemoryLoader, MemoryEvalLoader))
        if device.type == "cuda" and in_memory and 8 * loader.num_bytes < torch.cuda.mem_get_info(device)[0]:
            loader.to(device)
        return loader

    def _train(self, **place: Any) -> Any:
        return train_loader(
            self.splits.train, self.config.augmentations, seed=self.config.seed, **place, **self._common()
        )

    def _val(self, **place: Any) -> Any:
        crop_size = self.config.augmentations[0].crop_size
        return eval_loader(self.splits.test, crop_size=crop_size, **place, **self._common())

    def _common(self) -> dict[str, Any]:
        return {
            "batch_size": self.config.optimizer.batch_size,
            "num_workers": self.config.data.num_workers,
            "processes": self.trainer.num_devices if self.trainer else 1,
        }


@contextmanager
def _matmul_precision(config: Config, trainer: Trainer) -> Iterator[None]:
    """While this lasts, GPUs compute matrix products of float32 as ``config`` says; CPUs stay as they are."""
    if trainer.strategy.root_device.type != "cuda":
        yield
        return
    before = matmul_precision()
    torch.set_float32_matmul_precision(config.performance.matmul_precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _compile(module: Pretrainer) -> None:
    """Compiles backbone and teacher by ``torch.compile``, in place, so that checkpoints keep their names."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise InputError(f"performance.compile = True: no compiler {compiler!r} was found; install it or set CXX")
    for network in (module.backbone, module.teacher):
        if network is not None:
            network.compile()


def _open_run(config: Config, trainer: Trainer, module: Pretrainer, data: dict[str, Any]) -> RunFolder:
    """One folder for all processes, also those that torchrun or SLURM started side by side."""
    if (run := run_of_parent()) is not None:
        end_with_parent()
        return run
    environment = getattr(trainer.strategy, "cluster_environment", None)
    side_by_side = trainer.world_size > 1 and environment and environment.creates_processes_externally
    if not side_by_side:
        return open_run(config, data)
    trainer.strategy.connect(module)
    trainer.strategy.setup_environment()
    run = open_run(config, data) if trainer.is_global_zero else None
    path, resume = trainer.strategy.broadcast((run.path, run.resume) if run else None)
    return run or RunFolder(path, resume, None)


def _fit(
    trainer: Trainer, module: Pretrainer, loaders: Loaders, run: RunFolder, derived: dict[str, Any], *, epochs: int
) -> str:
    """Trains; returns why training ended before ``epochs``, or an empty text."""
    config = module.config
    first_epoch = read_checkpoint(run.resume)["epoch"] + 1 if run.resume else 0
    log = EpochLog(run.path, epochs=trainer.max_epochs, first_epoch=first_epoch)
    trainer.loggers = [log, *extra_loggers(config, run.path)]
    if config.checkpoint.enabled:
        trainer.callbacks.append(EpochCheckpoint(run.path, config.checkpoint, log))
    if trainer.is_global_zero:
        keep_messages(run.path)
        run.write_json(DERIVED, derived)
        print(f"run folder {run.path}\n" + "  ".join(f"{key} {value}" for key, value in derived.items()), flush=True)
    if first_epoch >= epochs:  # killed between its last epoch and its evaluation
        checkpoint = read_checkpoint(run.resume)
        module.load_state_dict(checkpoint["state_dict"])
        for callback in trainer.callbacks:  # such as the watch, which may have ended the run with that epoch
            if state := checkpoint["callbacks"].get(callback.state_key):
                callback.load_state_dict(state)
        return ""

    def ended(why: str, *, epoch: int) -> str:
        return f"{why} at epoch {epoch} of {trainer.max_epochs}; {how_to_go_on(run.path, config)}"

    (early,) = (callback for callback in trainer.callbacks if isinstance(callback, EarlyEnd))
    try:
        with _losses_told(config, trainer):
            trainer.fit(module, datamodule=loaders, ckpt_path=run.resume, weights_only=True)
    except NotFinite as error:
        raise InputError(f"{error}; last good checkpoint: {_last(run) or 'none yet'} ({SMALLER})") from error
    except OutOfMemory as error:
        last = _last(run)
        kept = f"resume_from_checkpoint={last} goes on from there" if last else "there is no checkpoint yet"
        raise OutOfMemory(f"{error}; {kept}") from error
    except NotWritten as error:
        raise NotWritten(f"{error}; {how_to_go_on(run.path, config)}") from error
    except (KeyboardInterrupt, SystemExit) as end:  # Lightning turns signals into the latter
        raise KeyboardInterrupt(ended("stopped", epoch=trainer.current_epoch + 1)) from end
    if early.reason == "signal":
        raise KeyboardInterrupt(ended("stopped", epoch=trainer.current_epoch))
    by = f"stopped by max_time={config.trainer.get('max_time')}"
    return ended(by, epoch=trainer.current_epoch) if early.reason else ""


def _last(run: RunFolder) -> Path | None:
    """The newest checkpoint that the run could go on from."""
    return run.path / LAST if (run.path / LAST).is_file() else run.resume


@contextmanager
def _losses_told(config: Config, trainer: Trainer) -> Iterator[None]:
    """Reports workers and processes that die, and memory that runs out, by ``InputError``."""
    ways = []
    if config.accumulate_grad_batches == 1:
        ways.append("accumulate_grad_batches=2 keeps the images of a step")
    if "16" not in str(config.trainer.get("precision")):
        ways.append("precision=bf16-mixed takes less")
    batch = ("optimizer.batch_size", config.optimizer.batch_size, trainer.strategy.root_device)
    with large_batch_told(*batch, *ways), lost_workers_told(config.data.num_workers), lost_processes_told(trainer):
        yield


def _steps(config: Config, trainer: Trainer, loaders: Loaders) -> int:
    """Optimizer steps of an epoch; ``InputError`` if there is not one."""
    batches = limited(loaders.batches(trainer.world_size), trainer.limit_train_batches)
    return math.ceil(batches / config.accumulate_grad_batches)


def _derived(config: Config, module: Pretrainer, world: int, steps_per_epoch: int) -> dict[str, Any]:
    """What follows from the configuration and the machine."""
    scale = lr_scale(config, world)
    limits = {} if config.data.range != "auto" or module.limits is None else {"data_range": list(module.limits)}
    return {
        **limits,
        "steps_per_epoch": steps_per_epoch,
        "devices": world,
        "n": config.optimizer.batch_size * (world if module.method.loss_scope == "global" else 1),
        "n_is": "samples of "
        + ("all devices" if module.method.loss_scope == "global" and world > 1 else "each device"),
        "lr": config.optimizer.lr * scale,
        "classifier_lr": config.optimizer.classifier_lr * scale,
        "backbone_parameters": sum(p.numel() for p in module.backbone.parameters()),
        "features_dim": module.backbone.num_features,
    }
