"""Operations and bytes on the wire of the objective, counted and by formula: python benchmarks/scaling.py

The formulas are those of docs/scaling.md. Operations are counted by torch while the objective runs. Bytes are those of
tensors that a process passes to collectives; the processes use gloo on this machine.
"""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch
import torch.distributed as dist
from torch.multiprocessing import spawn
from torch.utils.flop_counter import FlopCounterMode

from cplearn_solo.dictionary import pack_dictionary, temperature
from cplearn_solo.objective import PackedDictionary, objective

VIEWS = 2
# n per device, f, c, devices, megabytes of kept logits, dictionary_parallel, global_prior
CASES = [
    (64, 512, 16_384, 1, 80.0, False, False),
    (64, 512, 16_384, 1, 0.0, False, False),
    (32, 512, 16_384, 2, 80.0, False, False),
    (32, 512, 16_384, 2, 80.0, False, True),
    (32, 512, 16_384, 2, 80.0, True, True),
    (16, 256, 65_536, 4, 80.0, True, True),
]


def operations(n: int, f: int, c: int, devices: int, kept: float, parallel: bool, everyone: bool) -> float:
    """Multiplications and additions of the products with W on one device."""
    rows, codes = (n * devices, c / devices) if parallel else (n, c)
    logits = VIEWS * rows * codes
    again = max(0.0, 1 - kept * 2**20 / (4 * logits))  # share of logits that are computed three times instead of once
    return 2 * f * logits * (2 + 2 * again)


def bytes_sent(n: int, f: int, c: int, devices: int, kept: float, parallel: bool, everyone: bool) -> float:
    """Bytes that one device passes to collectives."""
    if devices == 1:
        return 0
    total = 0
    if parallel:
        embeddings = 4 * VIEWS * n * f
        total += embeddings * (1 + devices)  # gathered; their gradients summed
        rows = n * devices
        total += 4 * VIEWS * rows + 8 * rows  # maxima and codes
        total += 8 * (VIEWS + 3) * rows  # sums of e and of e times logits
        groups = 1 if everyone else devices
        total += 8 * (2 * VIEWS * groups + VIEWS * rows)  # prior, entropy of the mean, and its part of each sample
    elif everyone:
        total += 4 * VIEWS * c  # the mean assignment
    return total


@contextmanager
def counting(sent: Counter) -> Iterator[None]:
    """Counts the bytes of tensors that are passed to collectives in this block."""

    def counted(collective: Callable, position: int) -> Callable:
        def call(*tensors, **kwargs):
            sent[collective.__name__] += tensors[position].numel() * tensors[position].element_size()
            return collective(*tensors, **kwargs)

        return call

    with (
        mock.patch.object(dist, "all_reduce", counted(dist.all_reduce, 0)),
        mock.patch.object(dist, "all_gather", counted(dist.all_gather, 1)),
    ):
        yield


def measure(rank: int, case: tuple, folder: Path) -> None:
    """Runs one step of ``case``; the first process writes its counts."""
    n, f, c, devices, kept, parallel, everyone = case
    torch.set_num_threads(1)
    if devices > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=devices)
    torch.manual_seed(rank)
    views = [torch.randn(n, f).div(math.sqrt(n)).requires_grad_() for _ in range(VIEWS)]
    dictionary = PackedDictionary(pack_dictionary(f, c), f)
    sent: Counter = Counter()
    with counting(sent), FlopCounterMode(display=False) as flops:
        found = objective(
            views,
            dictionary,
            temperature=temperature(f, n, c, 1e-8),
            beta=1.0,
            dictionary_parallel=parallel,
            global_prior=everyone,
            kept_logits_mb=kept,
            impl="chunked",
        )
        found.loss.backward()
    if rank == 0:
        torch.save((flops.get_total_flops(), sum(sent.values())), folder / "counted.pt")
    if devices > 1:
        dist.barrier()
        dist.destroy_process_group()


def counted(case: tuple) -> tuple[int, int]:
    """Operations and bytes of ``case``, by running it."""
    with tempfile.TemporaryDirectory() as name:
        spawn(measure, (case, Path(name)), nprocs=case[3])
        return torch.load(Path(name) / "counted.pt")


def main() -> None:
    print(f"{'n':>4} {'f':>4} {'c':>7} {'devices':>7} {'kept':>6} {'what is shared':>24}", end="")
    print(f" {'Gop, formula':>13} {'counted':>8} {'ratio':>6} {'kB sent, formula':>17} {'counted':>8} {'ratio':>6}")
    for case in CASES:
        n, f, c, devices, kept, parallel, everyone = case
        flops, sent = counted(case)
        shared = "codes, mean assignment" if parallel else "mean assignment" if everyone else "-"
        expected, wire = operations(*case), bytes_sent(*case)
        print(f"{n:4} {f:4} {c:7} {devices:7} {kept:3.0f} MB {shared:>24}", end="")
        print(f" {expected / 1e9:13.3f} {flops / 1e9:8.3f} {flops / expected:5.2f}x {wire / 1e3:17.1f}", end="")
        print(f" {sent / 1e3:8.1f} " + (f"{sent / wire:5.2f}x" if wire else "    -"), flush=True)


if __name__ == "__main__":
    main()
