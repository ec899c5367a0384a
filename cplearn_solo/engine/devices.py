"""Checks that a run's device can do what it has to, before anything is written."""

from __future__ import annotations

import warnings

import torch
from lightning import Trainer

from cplearn_solo.config.schema import Config
from cplearn_solo.core.cores import cores
from cplearn_solo.core.errors import require
from cplearn_solo.core.messages import Notice
from cplearn_solo.methods import Method
from cplearn_solo.methods.build import method_keys_named


def check_cores(trainer: Trainer) -> None:
    """Raises ``InputError`` for more training processes than processor cores.

    If ``torchrun`` or a cluster starts the processes, it has given each of them its own cores.
    """
    environment = getattr(trainer.strategy, "cluster_environment", None)
    given = environment is not None and environment.creates_processes_externally
    fits = trainer.strategy.root_device.type != "cpu" or given or trainer.num_devices <= cores()
    require(fits, "devices", trainer.num_devices, f"at most {cores()}, the processor cores there are")


def check_device(config: Config, method: Method, device: torch.device) -> None:
    """Raises ``InputError`` for settings of ``config`` that ``device`` does not support."""
    with method_keys_named(config.method):
        method.check_device(device)
    if config.trainer.get("strategy") == "fsdp2" and not config.single_process and device.type == "cpu":
        possible = hasattr(torch.cpu.Stream, "record_event")  # which PyTorch 2.6 lacks
        require(possible, "strategy", "fsdp2", "ddp, as this PyTorch has fsdp2 on GPUs only")
    precision = str(config.trainer.get("precision"))
    if device.type == "cpu" and precision.startswith("16"):  # Lightning makes it so, and tells only its log
        warnings.warn(f"precision = {precision} is bf16-mixed on a CPU", Notice, stacklevel=2)
    if device.type == "cuda" and precision.startswith("bf16"):
        with torch.cuda.device(device):
            possible = torch.cuda.is_bf16_supported(including_emulation=False)
        require(possible, "precision", precision, f"16-mixed or 32-true, as {device} has no units for bfloat16")
