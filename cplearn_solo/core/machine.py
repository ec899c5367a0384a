"""The hardware that a result was computed on."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from cplearn_solo.core.numbers import counted


def machine(device: torch.device) -> str:
    """The name of a GPU; for a CPU, its name, threads, vector instructions and units for half precision."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type
    there = {"bf16": torch.cpu._is_avx512_bf16_supported(), "AMX": torch.cpu._is_amx_tile_supported()}
    units = " ".join([torch.backends.cpu.get_cpu_capability(), *(name for name in there if there[name])])
    return f"{_processor()}, {counted(torch.get_num_threads(), 'thread')}, {units}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
