"""MCR2's rate of clusters in variational form against the exact one: python benchmarks/coding_rate.py

Both compute the value and its gradient by embeddings, memberships and, for the variational form, its parameters, in
turns in one process. The exact form has a determinant for each cluster, the variational one products with atoms, as
many for each cluster as by the method's default. Every hundredth step sets the atoms to the optimum; the ratio includes
that step's share of the time. ``error``: relative error of the variational rate at the optimum with as many atoms as
dimensions.
"""

from __future__ import annotations

from functools import partial

import torch
from history import record
from shared import timed, turn_by_turn
from torch import Tensor
from torch.nn import functional as F

from cplearn_solo.losses import eigen_atoms, partition_rate, variational_rate
from cplearn_solo.methods.mcr2 import LATCH

SIZES = [(128, 128, 10), (512, 128, 10), (512, 128, 100)]  # embeddings, dimensions, clusters
ATOMS, EPS = 16, 32.0


def problem(n: int, d: int, k: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    centres = torch.randn(k, d)
    z = F.normalize(centres[torch.arange(n) % k] + torch.randn(n, d), dim=1)
    return z.requires_grad_(), torch.softmax(4 * z.detach() @ F.normalize(centres, dim=1).T, dim=1).requires_grad_()


def exact(z: Tensor, memberships: Tensor) -> None:
    torch.autograd.grad(partition_rate(z, memberships, eps=EPS), (z, memberships))


def variational(given: tuple[Tensor, ...]) -> None:
    found = variational_rate(*given, eps=EPS)
    torch.autograd.grad(found.rate + found.misfit, given)


def main() -> None:
    ratios = {}
    print(f"{'n, d, k':>14} {'exact':>9} {'variational':>12} {'optimum':>9} {'ratio':>6} {'error':>8}")
    for size in SIZES:
        z, memberships = problem(*size)
        found = eigen_atoms(z, memberships, ATOMS)
        given = (z, memberships, *(parameter.requires_grad_() for parameter in found))
        ways = {
            "exact": timed(partial(exact, z, memberships)),
            "variational": timed(partial(variational, given)),
            "optimum": timed(partial(eigen_atoms, z, memberships, ATOMS)),
        }
        spent = turn_by_turn(ways)
        with torch.no_grad():
            rate = partition_rate(z, memberships, eps=EPS)
            error = (variational_rate(z, memberships, *eigen_atoms(z, memberships), eps=EPS).rate / rate - 1).abs()
        ratio = (spent["variational"] + spent["optimum"] / LATCH) / spent["exact"]
        name = ", ".join(map(str, size))
        milliseconds = [1e3 * spent[way] for way in ways]
        print(f"{name:>14} {milliseconds[0]:6.1f} ms {milliseconds[1]:9.1f} ms {milliseconds[2]:6.1f} ms", end="")
        print(f" {ratio:5.2f}x {error:8.0e}", flush=True)
        ratios[name] = ratio
    record(__file__, ratios)


if __name__ == "__main__":
    main()
