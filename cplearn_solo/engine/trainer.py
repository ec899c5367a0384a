"""Lightning's Trainer and loggers from a configuration."""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path

import torch
import torch.distributed as dist
from lightning import Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.plugins.layer_sync import TorchSyncBatchNorm
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import nn

from cplearn_solo.config.schema import Config
from cplearn_solo.core.distributed import own_batchnorm, sync_batchnorm
from cplearn_solo.core.errors import InputError, reason_of
from cplearn_solo.core.messages import Notice, only_collect
from cplearn_solo.engine.checkpoint import PlainCheckpointIO
from cplearn_solo.engine.early_end import EarlyEnd, LastStep
from cplearn_solo.engine.progress import RunProgress
from cplearn_solo.engine.sharding import ShardedStrategy


class LayerSync(TorchSyncBatchNorm):
    """``sync_batchnorm=true`` also without a GPU, and for BatchNorm that includes activations, as in timm."""

    def apply(self, model: nn.Module) -> nn.Module:
        return sync_batchnorm(model, on_gpus="nccl" in dist.get_backend())

    def revert(self, model: nn.Module) -> nn.Module:
        return own_batchnorm(model)


def build_trainer(config: Config) -> Trainer:
    """The Trainer, without loggers and checkpoints, which need the run folder; ``InputError`` for bad arguments."""
    only_collect()
    kwargs = {
        "max_epochs": config.max_epochs,
        "devices": config.devices,
        "num_nodes": config.num_nodes,
        "accumulate_grad_batches": config.accumulate_grad_batches,
        "num_sanity_val_steps": 0,
        "enable_model_summary": False,
        "log_every_n_steps": 1,  # nothing is logged more often than once an epoch
        "use_distributed_sampler": False,  # the loaders know their rank
        "benchmark": not config.trainer.get("deterministic"),  # cuDNN looks for the fastest kernels, as shapes are few
        **config.trainer,
        "enable_progress_bar": False,  # our own bar is for the whole run
        "logger": False,
        "enable_checkpointing": False,
    }
    kwargs["strategy"] = kwargs.get("strategy") or "auto"
    if config.single_process and str(kwargs["strategy"]).startswith(("ddp", "fsdp2")):
        # the same result without the cost of a process group
        kwargs |= {"strategy": "auto", "sync_batchnorm": False}
    elif kwargs["strategy"] == "fsdp2":
        kwargs["strategy"] = ShardedStrategy()
    kwargs["plugins"] = [PlainCheckpointIO(), *([LayerSync()] if kwargs.get("sync_batchnorm") else [])]
    bar = RunProgress(bar=config.trainer.get("enable_progress_bar", sys.stderr.isatty()))
    try:
        kwargs.pop("max_steps", None)
        kwargs["callbacks"] = [bar, EarlyEnd(kwargs.pop("max_time", None))]
        kwargs["callbacks"] += [LastStep(config.max_steps)] if config.max_steps else []
        return Trainer(**kwargs)
    except (MisconfigurationException, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        of_devices = re.search("accelerator|device|gpu|cuda|mps", reason, re.IGNORECASE)
        hint = " (no GPU was found here: accelerator=cpu devices=1 trains without)"
        missing = of_devices and not torch.cuda.is_available()
        raise InputError(f"Trainer arguments: {reason}{hint if missing else ''}") from error


def extra_loggers(config: Config, folder: Path) -> list[Logger]:
    """TensorBoard and W&B, where asked for and installed."""
    loggers: list[Logger] = []
    try:
        if config.tensorboard.enabled:
            loggers.append(TensorBoardLogger(folder, name="tensorboard", version=""))
        if config.wandb.enabled:
            wandb = config.wandb
            loggers.append(
                WandbLogger(
                    name=config.name,
                    project=wandb.project,
                    entity=wandb.entity,
                    offline=wandb.offline,
                    save_dir=folder,
                )
            )
    except ModuleNotFoundError as error:
        warnings.warn(f"metrics go to metrics.csv only: {reason_of(error)}", Notice, stacklevel=2)
    return loggers
