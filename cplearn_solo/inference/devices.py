"""Where a trained model runs."""

from __future__ import annotations

import torch

from cplearn_solo.config import Config
from cplearn_solo.config.checks import check_choices
from cplearn_solo.config.evaluation import ACCELERATORS
from cplearn_solo.core.errors import InputError, require, shown


def choose_device(accelerator: str = "auto") -> torch.device:
    """The CPU for "cpu", a GPU for "cuda" or "gpu" (``InputError`` if there is none), a GPU or the CPU for "auto"."""
    check_choices({"accelerator": (accelerator, ACCELERATORS)})
    gpu = torch.cuda.is_available()
    require(gpu or accelerator in ("auto", "cpu"), "accelerator", accelerator, "auto or cpu, no GPU was found here")
    return torch.device("cuda" if gpu and accelerator != "cpu" else "cpu")


def known_device(given: torch.device | str) -> torch.device:
    """``given`` as PyTorch names it; raises ``InputError`` unless there is such a device here, which can compute."""
    gpus = torch.cuda.device_count()
    try:
        device = torch.device(given)
        if device.type == "cuda":  # counted, as no process could be forked once a tensor is there
            there = (device.index or 0) < gpus
        else:
            torch.ones((), device=device).item()  # PyTorch's meta device has no values to read
            there = True
    except Exception:  # those for missing devices differ from kind to kind
        there = False
    if not there:
        value = shown(str(given) if isinstance(given, torch.device) else given)
        choices = ("cpu", *(("cuda",) if gpus else ()), *(f"cuda:{i}" for i in range(gpus)))
        raise InputError(f"device = {value}: must be one that is here, as {', '.join(choices)}")
    return device


def device_after_training(config: Config) -> torch.device:
    """Where the model of a run is scored once it has been trained: the CPU only if it was trained there."""
    return choose_device("cpu" if config.trainer.get("accelerator") == "cpu" else "auto")
