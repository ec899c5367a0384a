"""Where a trained model runs."""

from __future__ import annotations

import torch

from cplearn_solo.config import Config
from cplearn_solo.config.checks import check_choices
from cplearn_solo.config.evaluation import ACCELERATORS
from cplearn_solo.core.errors import require


def choose_device(accelerator: str = "auto") -> torch.device:
    """The CPU for "cpu", a GPU for "cuda" or "gpu" (``InputError`` if there is none), a GPU or the CPU for "auto"."""
    check_choices({"accelerator": (accelerator, ACCELERATORS)})
    gpu = torch.cuda.is_available()
    require(gpu or accelerator in ("auto", "cpu"), "accelerator", accelerator, "auto or cpu, no GPU was found here")
    return torch.device("cuda" if gpu and accelerator != "cpu" else "cpu")


def device_after_training(config: Config) -> torch.device:
    """Where the model of a run is scored once it has been trained: the CPU only if it was trained there."""
    return choose_device("cpu" if config.trainer.get("accelerator") == "cpu" else "auto")
