"""The training that benchmarks share: the shipped CPLearn configuration on digits, cut short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from cplearn_solo.config import Config, parse_config

YAML = Path(__file__).parents[1] / "scripts/pretrain/digits/cplearn.yaml"


def short_run(folder: str, *, epochs: int) -> Config:
    """Its configuration with a run folder below ``folder``; on the CPU, silent and never resumed."""
    change: dict[str, Any] = {
        "max_epochs": epochs,
        "enable_progress_bar": False,
        "accelerator": "cpu",
        "auto_resume": {"enabled": False},
        "checkpoint": {"dir": folder},
    }
    return parse_config(OmegaConf.merge(OmegaConf.load(YAML), change))
