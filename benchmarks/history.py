"""What the benchmarks found, run after run: a line of JSON each in ``history.jsonl`` beside this file."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from cplearn_solo.engine.provenance import git_sha

HISTORY = Path(__file__).with_name("history.jsonl")


def record(benchmark: str, ratios: Mapping[str, float]) -> None:
    """Adds a run of ``benchmark``: each ratio of ours to the plain reference of the same run, by what was measured."""
    line = {
        "date": time.strftime("%Y-%m-%d"),
        "benchmark": Path(benchmark).stem,
        "commit": git_sha(),
        "machine": machine(),
        "ratios": {name: round(ratio, 4) for name, ratio in ratios.items()},
    }
    with HISTORY.open("a") as file:
        file.write(json.dumps(line) + "\n")


def machine() -> str:
    """Processor, cores, what they can do, and the PyTorch that uses it."""
    units = [
        name
        for name, there in (
            ("bf16", torch.cpu._is_avx512_bf16_supported()),
            ("AMX", torch.cpu._is_amx_tile_supported()),
        )
        if there
    ]
    vectors = torch.backends.cpu.get_cpu_capability()
    return (
        f"{_processor()}, {torch.get_num_threads()} threads, {' '.join([vectors, *units])}, torch {torch.__version__}"
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
