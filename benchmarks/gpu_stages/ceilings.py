"""The highest speeds of the device: a large copy, and products of large matrices of random numbers."""

from __future__ import annotations

import torch

from gpu_stages.machine import has_bf16
from gpu_stages.measure import milliseconds
from gpu_stages.options import Options
from gpu_stages.report import Report

PRODUCTS = {"bf16": torch.bfloat16, "fp16": torch.float16, "tf32": torch.float32, "float32": torch.float32}


def run(report: Report, options: Options) -> None:
    report.add(what="copy", value=copies(options), unit="GB/s, read and written")
    for name, dtype in PRODUCTS.items():
        if name != "bf16" or has_bf16(options.device):
            report.add(what=f"product, {name}", value=product(name, dtype, options), unit="Tflop/s")


def copies(options: Options) -> float:
    """Speed of a copy in 10^9 bytes per second."""
    source = torch.randn(1 << (18 if options.tiny else 28), device=options.device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / milliseconds(lambda: target.copy_(source), options.device) / 1e6


def product(name: str, dtype: torch.dtype, options: Options) -> float:
    """Speed of a product in 10^12 additions and multiplications per second."""
    torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
    side = 256 if options.tiny else 8192
    a, b = (torch.randn(side, side, device=options.device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    return 2 * side**3 / milliseconds(lambda: torch.mm(a, b, out=out), options.device) / 1e9
