"""The machine on which all numbers of the other stages are measured."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from gpu_stages.options import Options
from gpu_stages.report import Report

LEAST_GIB = 4  # of GPU memory; with less, not even the small stages fit
PACKAGES = ("torch", "torchvision", "triton", "lightning", "timm", "lightly")


def run(report: Report, options: Options) -> None:
    if options.device == "cuda":
        check_gpu()
        facts = torch.cuda.get_device_properties(0)
        report.add(
            fact="GPU", value=f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB, sm_{facts.major}{facts.minor}"
        )
        report.add(fact="multiprocessors", value=str(facts.multi_processor_count))
        report.add(fact="driver", value=said("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"))
        report.add(fact="CUDA of PyTorch", value=str(torch.version.cuda))
    else:
        report.say("a rehearsal on the CPU at tiny sizes: no number here means anything")
    report.add(fact="processor", value=f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    report.add(fact="Python", value=platform.python_version())
    for package in PACKAGES:
        report.add(fact=package, value=_version(package))
    report.add(fact="commit", value=said("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"))
    if not has_bf16(options.device):
        report.say("bf16: this GPU has no units for it, so its rows are left out")


def check_gpu() -> None:
    """Ends the program with one line if there is no GPU, or too little free memory on it."""
    if not torch.cuda.is_available():
        sys.exit(f"device = cuda: no GPU was found by torch {torch.__version__}; --device cpu rehearses without one")
    free, total = (number / 2**30 for number in torch.cuda.mem_get_info())
    if free < LEAST_GIB:
        sys.exit(f"device = cuda: {free:.1f} of {total:.1f} GiB are free, {LEAST_GIB} are needed")


def has_bf16(device: str) -> bool:
    return device == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False)


def said(*command: str) -> str:
    """The first line that a command prints; "unknown" without one."""
    try:
        return (
            subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.partition("\n")[0] or "unknown"
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
