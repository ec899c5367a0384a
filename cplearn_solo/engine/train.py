"""One pretraining run: what it needs, its run folder, training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer

from cplearn_solo.config.schema import Config
from cplearn_solo.core.errors import InputError, NotWritten, require
from cplearn_solo.core.messages import keep_messages
from cplearn_solo.core.out_of_memory import OutOfMemory, large_batch_told
from cplearn_solo.core.precision import matmul_precision
from cplearn_solo.core.processes import end_with_parent
from cplearn_solo.data import Splits
from cplearn_solo.data.file_loader import lost_workers_told
from cplearn_solo.engine.checkpoint import EpochCheckpoint, read_checkpoint
from cplearn_solo.engine.early_end import EarlyEnd, PauseAfter
from cplearn_solo.engine.epoch import NotFinite
from cplearn_solo.engine.estimate import Estimate
from cplearn_solo.engine.find import LAST
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.engine.lost import lost_processes_told
from cplearn_solo.engine.module import Pretrainer, image_statistics
from cplearn_solo.engine.optim import lr_scale
from cplearn_solo.engine.prepare import Loaders, prepared, steps_of_epoch
from cplearn_solo.engine.runs import DERIVED, RunFolder, how_to_go_on, open_run, run_of_parent, shared_with_processes
from cplearn_solo.engine.sharding import ShardedStrategy
from cplearn_solo.engine.trainer import extra_loggers
from cplearn_solo.engine.waiting import WaitingWatch
from cplearn_solo.engine.watch import CollapseWatch
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


def pretrain(config: Config, *, until: int | None = None, estimate: Estimate | None = None) -> Trained:
    """Trains as ``config`` says and leaves checkpoints, log and derived values in the run folder.

    Raises ``InputError`` for invalid input, before the folder is made. ``until``: pauses after so many epochs, with
    schedules for all of ``max_epochs``; another call goes on from there, as after a kill. ``estimate`` prints what the
    run takes once it has made some steps.
    """
    require(not config.dry_run, "dry_run", True, "false here: cplearn pretrain alone has it")
    trainer, module, splits, loaders = prepared(config)
    derived = _derived(config, module, trainer.world_size, steps_of_epoch(config, trainer, loaders))
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
    trainer, module, _, loaders = prepared(config)
    steps_of_epoch(config, trainer, loaders)
    trainer.callbacks.append(estimate)
    try:
        with _matmul_precision(config, trainer), _losses_told(config, trainer):
            trainer.fit(module, datamodule=loaders)
    except NotFinite as error:
        raise InputError(f"{error} ({SMALLER})") from error
    except (KeyboardInterrupt, SystemExit) as end:  # Lightning turns signals into the latter
        raise KeyboardInterrupt from end


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
