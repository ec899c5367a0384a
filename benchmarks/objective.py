"""The large-dictionary objective against the released loss: python benchmarks/objective.py

Both compute the loss of two views and its gradient by the embeddings, in turns in one process. The released loss is
transcribed without changes: W as floats, all logits, six softmaxes, automatic differentiation. The floor is the time of
four products of floats, n f c multiplications and additions each, at the speed of a large product on this machine;
products by lookup can be faster. ``chunked`` is ours with products of floats, ``half`` with embeddings in bfloat16.
Memory is the peak of a separate process, minus its memory after the imports; it includes the dictionary.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial

import torch
from shared import flops_a_second, own_process, run, turn_by_turn
from torch import Tensor
from torch.nn import functional as F

from cplearn_solo.dictionary import make_dictionary, pack_dictionary, temperature
from cplearn_solo.objective import PackedDictionary, objective, tiles

SIZES = [(64, 512, 16_384), (256, 512, 131_072), (64, 2048, 131_072)]
LARGEST = (256, 512, 1_048_576)
ROUNDS = 5


def released(n: int, f: int, c: int) -> Callable[[list[Tensor]], Tensor]:
    w, tau = make_dictionary(f, c).float(), temperature(f, n, c, 1e-8)

    def loss(views: list[Tensor]) -> Tensor:
        z1, z2 = (h @ w / tau for h in views)
        total = 0.0
        for z, other in ((z1, z2), (z2, z1)):
            invariance = -(F.softmax(z, dim=1) * F.log_softmax(other, dim=1)).sum(dim=1).mean()
            mean = F.softmax(z, dim=1).mean(dim=0)
            total = total + invariance + (mean * (mean.log() + math.log(c))).sum()
        return total / 2

    return loss


def ours(n: int, f: int, c: int, impl: str = "auto") -> Callable[[list[Tensor]], Tensor]:
    dictionary = PackedDictionary(pack_dictionary(f, c), f)
    tau = temperature(f, n, c, 1e-8)
    return lambda views: objective(views, dictionary, temperature=tau, beta=1.0, impl=impl).loss


def embeddings(n: int, f: int, dtype: torch.dtype) -> list[Tensor]:
    torch.manual_seed(0)
    x = torch.randn(n, f)
    return [(F.normalize(x + torch.randn(n, f), dim=1) * math.sqrt(f / n)).to(dtype).requires_grad_() for _ in range(2)]


def seconds(loss: Callable[[list[Tensor]], Tensor], views: list[Tensor]) -> float:
    start = time.perf_counter()
    torch.autograd.grad(loss(views), views)
    return time.perf_counter() - start


def step(which: str, *given: str) -> None:
    """One step of a size, including making its dictionary."""
    n, f, c = map(int, given)
    seconds({"ours": ours, "released": released}[which](n, f, c), embeddings(n, f, torch.float32))


def main() -> None:
    megabytes = {size: [own_process(__file__, which, *size)[0] for which in ("ours", "released")] for size in SIZES}
    largest = own_process(__file__, "ours", *LARGEST)[1]
    speed = flops_a_second()
    units = tiles.has_units(torch.device("cpu"), torch.bfloat16)
    print(f"products at {speed / 1e9:.0f} GFLOP/s on {torch.get_num_threads()} threads, medians of {ROUNDS} rounds")
    print("chunked half: " + ("products in bfloat16" if units else "no units for it here, so products are in float32"))
    print(f"{'n, f, c':>20} {'embeddings':>12} {'ours':>9} {'released':>9} {'ratio':>6} {'of floor':>8}", end="")
    print(f" {'memory':>8} {'released':>9} {'ratio':>6}")
    for size in SIZES:
        n, f, c = size
        single, half = (embeddings(n, f, dtype) for dtype in (torch.float32, torch.bfloat16))
        fast, tiled, plain = ours(*size), ours(*size, impl="chunked"), released(*size)
        turns = {"float32": (fast, single), "bfloat16": (fast, half)}
        turns |= {"chunked": (tiled, single), "chunked half": (tiled, half)}
        ways = {name: partial(seconds, *turn) for name, turn in turns.items()}
        medians = turn_by_turn(ways | {"released": partial(seconds, plain, single)}, rounds=ROUNDS)
        theirs = medians.pop("released")
        less, more = megabytes[size]
        for name, spent in medians.items():
            line = f"{n}, {f}, {c:,}".rjust(20) + f" {name:>12} {1e3 * spent:6.0f} ms {1e3 * theirs:6.0f} ms"
            line += f" {spent / theirs:5.2f}x {4 * 2 * n * f * c / speed / spent:8.0%}"
            memory = "" if name.startswith("chunked") else f" {less:5.0f} MB {more:6.0f} MB {less / more:5.2f}x"
            print(line + memory, flush=True)
        del fast, tiled, plain, turns, ways
    n, f, c = LARGEST
    print(f"{n}, {f}, {c:,}".rjust(20) + f" a step in a process of {largest:.0f} MB")


if __name__ == "__main__":
    run(main, step)
