"""The objective by each implementation: time and its floor, memory, and the error of the gradient.

The floor is the longer of two times: of four products, two for logits and two for the gradient, with n f c
multiplications and additions each, and of reading the dictionary's bits and the embeddings once. The error is relative
to the gradient in float64.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from cplearn_solo.core.errors import InputError
from cplearn_solo.dictionary import pack_dictionary, temperature
from cplearn_solo.objective import PackedDictionary, objective
from gpu_stages.machine import has_bf16
from gpu_stages.measure import floor_ms, free_bytes, milliseconds, peak_megabytes
from gpu_stages.options import Options
from gpu_stages.report import Report

SIZES = [(64, 128, 16_384), (256, 512, 131_072), (1024, 384, 1_048_576)]  # n, f, c
TINY = [(4, 16, 64), (8, 24, 300)]
KINDS = {"bf16": torch.bfloat16, "tf32": torch.float32, "float32": torch.float32}


def run(report: Report, options: Options) -> None:
    for size in TINY if options.tiny else SIZES:
        case, name = Case(*size, options), ", ".join(f"{number:,}" for number in size)
        exact = case.exact()
        for kind in (kind for kind in KINDS if kind != "bf16" or has_bf16(options.device)):
            for impl in ("reference", "chunked", "triton"):
                report.add(**{"n, f, c": name, "products": kind, "impl": impl}, **case.measure(kind, impl, exact))


class Case:
    """Two views ``(n, f)`` and a dictionary of c codes on the device."""

    def __init__(self, n: int, f: int, c: int, options: Options) -> None:
        self.n, self.f, self.c, self.options = n, f, c, options
        self.tau = temperature(f, n, c, 1e-8)
        self.dictionary = PackedDictionary(pack_dictionary(f, c, device=options.device), f)
        generator = torch.Generator().manual_seed(0)
        x, noise = torch.randn(n, f, generator=generator), torch.randn(2, n, f, generator=generator)
        self.views = (F.normalize(x + noise, dim=2) * math.sqrt(f / n)).to(options.device)

    def measure(self, kind: str, impl: str, exact: Tensor) -> dict[str, object]:
        """Columns of a row; only a ``note`` if it could not be measured."""
        torch.set_float32_matmul_precision("high" if kind == "tf32" else "highest")
        needed = 4 * (self.f + 16 * self.n) * self.c if impl == "reference" else 0
        if needed > 0.9 * (free := free_bytes(self.options.device)):
            return {"note": f"needs about {needed / 2**30:.0f} GiB, {free / 2**30:.0f} are free"}
        views = [view.to(KINDS[kind]).requires_grad_() for view in self.views]
        try:
            step, device = partial(self.gradient, views, impl), self.options.device
            found = step()
            spent = milliseconds(step, device)
            floor = self.floor(kind)
            return {
                "forward ms": milliseconds(torch.no_grad()(partial(self.loss, views, impl)), device),
                "step ms": spent,
                "floor ms": floor,
                "times floor": floor and spent / floor,
                "MB": peak_megabytes(step, device),
                "error": ((found.double() - exact).norm() / exact.norm()).item(),
            }
        except (InputError, torch.OutOfMemoryError, ImportError) as error:
            return {"note": str(error).partition("\n")[0][:100]}

    def exact(self) -> Tensor:
        return self.gradient([view.double().requires_grad_() for view in self.views], "chunked")

    def loss(self, views: list[Tensor], impl: str) -> Tensor:
        return objective(views, self.dictionary, temperature=self.tau, beta=1.0, impl=impl).loss

    def gradient(self, views: list[Tensor], impl: str) -> Tensor:
        return torch.stack(torch.autograd.grad(self.loss(views, impl), views))

    def floor(self, kind: str) -> float | None:
        operations = 4 * 2 * self.n * self.f * self.c
        moved = self.f * self.c / 8 + 4 * 2 * self.n * self.f * KINDS[kind].itemsize
        return floor_ms(Path(self.options.out), operations=operations, moved=moved, products=kind)
