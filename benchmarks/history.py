"""Results of the benchmarks: a line of JSON for each run in ``history.jsonl`` beside this file."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from cplearn_solo.core.machine import machine
from cplearn_solo.engine.provenance import git_sha

HISTORY = Path(__file__).with_name("history.jsonl")


def record(benchmark: str, ratios: Mapping[str, float]) -> None:
    """Adds a run of ``benchmark``: ratios of ours to the plain reference in the same run, by name."""
    line = {
        "date": time.strftime("%Y-%m-%d"),
        "benchmark": Path(benchmark).stem,
        "commit": git_sha(),
        "machine": f"{machine(torch.device('cpu'))}, torch {torch.__version__}",
        "ratios": {name: round(ratio, 4) for name, ratio in ratios.items()},
    }
    with HISTORY.open("a") as file:
        file.write(json.dumps(line) + "\n")
