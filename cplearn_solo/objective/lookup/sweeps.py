"""The sweeps of :mod:`chunked` for processors with wide vectors: each is a call of ``lookup.cpp`` for every thread.

Samples are in panels: ``(views, n)`` becomes ``(views, panels, LANES)``, with lanes beyond the last sample empty.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from cplearn_solo.objective.chunked import Sweeps
from cplearn_solo.objective.packed import PackedDictionary
from cplearn_solo.objective.problem import Problem, Solution

LANES = 32  # as in lookup.cpp
TABLE = 8 * 16 * LANES
TILE = 1024  # codes: a tile of a hundred samples stays in a core's cache


@cache
def library() -> ctypes.CDLL | None:
    """``lookup.cpp`` as it was built for this processor's vectors; None where it was not."""
    vectors = torch.backends.cpu.get_cpu_capability().lower()
    files = [Path(__file__).with_name(f"_lookup_{vectors}{suffix}") for suffix in EXTENSION_SUFFIXES]
    return next((ctypes.CDLL(str(file)) for file in files if file.exists()), None)


def lookup(h: Tensor, problem: Problem) -> Solution:
    """The objective of embeddings ``(views, n, f)`` on a CPU, in float32, where all samples share a mean assignment."""
    return LookupSweeps(h.float(), problem, Shares).solve()


class Share(ctypes.Structure):
    """As in ``lookup.cpp``."""

    _fields_ = [
        (name, ctypes.c_void_p if name in ("words", "tables", "logits", "entries", "sums") else ctypes.c_int64)
        for name in (
            *("words", "stride", "count", "tables", "views", "panels", "codes", "width", "kept"),
            *("logits", "entries", "sums"),
        )
    ]


class Shares:
    """The codes divided among threads; ``bounds``: of each share its first code and the one after its last."""

    def __init__(self, h: Tensor, dictionary: PackedDictionary, temperature: float, *, kept_bytes: int) -> None:
        self.h = h / temperature
        (views, n, f), words = h.shape, dictionary.words.contiguous()
        self.panels, self.rows = -(-n // LANES), 32 * len(words)
        size = -(-dictionary.c // (32 * torch.get_num_threads())) * 32
        self.bounds = [(start, min(start + size, dictionary.c)) for start in range(0, dictionary.c, size)]
        self.width = width = min(TILE, size)
        in_panels = self.fill(self.h.transpose(1, 2)).transpose(1, 2)
        in_panels = pad(in_panels, (0, 0, 0, self.rows - f)).contiguous()
        tables = h.new_empty(views * self.panels * len(words), TABLE)
        library().tabulate_all(*map(_argument, (in_panels, tables, len(tables))))
        tile = views * self.panels * LANES * width
        kept = kept_bytes // (4 * tile * len(self.bounds))
        tiles = min(-(-size // width), kept + 1)
        logits = h.new_empty(len(self.bounds), tiles * tile)
        entries = torch.empty(len(self.bounds), -(-width // 32) * self.rows * 8, dtype=torch.int16)
        sums = h.new_empty(len(self.bounds), self.rows * LANES)
        self._memory = words, tables, logits, entries, sums  # that is pointed to
        self.shares = [
            Share(
                words=words[:, start:].data_ptr(),
                stride=words.stride(0),
                count=len(words),
                tables=tables.data_ptr(),
                views=views,
                panels=self.panels,
                codes=stop - start,
                width=width,
                kept=kept,
                logits=logits[k].data_ptr(),
                entries=entries[k].data_ptr(),
                sums=sums[k].data_ptr(),
            )
            for k, (start, stop) in enumerate(self.bounds)
        ]

    def fill(self, x: Tensor, empty: float = 0.0) -> Tensor:
        """``x`` ``(..., n)`` in panels, with ``empty`` in empty lanes."""
        return pad(x, (0, self.panels * LANES - x.shape[-1]), value=empty).unflatten(-1, (-1, LANES)).contiguous()

    def new(self, *sizes: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Memory ``(*sizes, panels, LANES)``."""
        return torch.empty(*sizes, self.panels, LANES, dtype=dtype)

    def samples(self, x: Tensor) -> Tensor:
        """``x`` ``(..., panels, LANES)`` without empty lanes: ``(..., n)``."""
        return x.flatten(-2)[..., : self.h.shape[1]]

    def each(self, sweep: str, *given: Tensor | float | bool | int | Callable[[int], Tensor]) -> None:
        """Calls a function of ``lookup.cpp`` for all shares at once; what differs is given by the share's number."""
        function = getattr(library(), sweep)
        mine, *others = (
            [ctypes.byref(share), *(_argument(x(k) if callable(x) else x) for x in given)]
            for k, share in enumerate(self.shares)
        )
        with ThreadPoolExecutor(len(self.shares)) as pool:
            for arguments in others:
                pool.submit(function, *arguments)
            function(*mine)


def _argument(x: Tensor | float | bool | int) -> Any:
    kinds = {bool: ctypes.c_bool, int: ctypes.c_int64, float: ctypes.c_float}
    return ctypes.c_void_p(x.data_ptr()) if isinstance(x, Tensor) else kinds[type(x)](x)


class LookupSweeps(Sweeps):
    """What is done to all tiles."""

    tiles: Shares

    def _sum_all(self, first: int) -> None:
        shares, views, count = self.tiles, len(self.tiles.h), len(self.terms)
        tiles = [-(-(stop - start) // shares.width) for start, stop in shares.bounds]
        top = shares.new(len(tiles), tiles[0], views)
        sums = shares.new(len(tiles), tiles[0], views + count)
        code = shares.new(len(tiles), tiles[0], dtype=torch.int32)
        terms = torch.tensor(self.terms, dtype=torch.int32)
        shares.each("first_sweep", terms, count, *(found.__getitem__ for found in (top, sums, code)))
        for k, (start, _) in enumerate(shares.bounds):
            for t in range(tiles[k]):
                largest, added, j = (shares.samples(found[k, t]) for found in (top, sums, code))
                self.rows.add(largest, added[:views], added[views:], first + start + t * shares.width + j.long())

    def _match_all(self) -> None:
        shares, matching, problem = self.tiles, self.matching, self.problem
        c, log_n = problem.dictionary.c, math.log(matching.samples)
        self.shifts = shares.fill(self.rows.top + matching.log_weight.flatten(1), math.inf)
        log_target = (problem.log_prior(slice(None), like=self.shifts) + log_n).expand(c).contiguous()
        log_sums, pulls = self.shifts.new_empty(len(shares.h), c), shares.new(len(shares.bounds), len(shares.h)).zero_()
        shares.each(
            "second_sweep",
            self.shifts,
            lambda k: log_target[shares.bounds[k][0] :],
            problem.prior_loss == "reverse",
            lambda k: log_sums[:, shares.bounds[k][0] :],
            c,
            pulls.__getitem__,
        )
        matching.note(slice(None), (log_sums - log_n)[:, None])
        matching.pull += shares.samples(pulls.sum(dim=0, dtype=torch.float64))[:, None]

    def _differentiate_all(self) -> Tensor:
        shares, problem = self.tiles, self.problem
        (views, _, f), slope = shares.h.shape, self.matching.slope
        gradient = slope.new_zeros(len(shares.bounds), views, shares.panels, shares.rows, LANES)
        partner = slope.new_tensor([[b in others for b in range(views)] for others in self.partners])
        shares.each(
            "third_sweep",
            shares.fill(self.rows.top),
            self.shifts,
            lambda k: slope[..., shares.bounds[k][0] :],
            problem.dictionary.c,
            shares.fill(self.constant),
            partner,
            problem.beta,
            problem.prior_loss == "reverse",
            gradient.__getitem__,
        )
        return shares.samples(gradient.sum(dim=0).transpose(1, 2)).transpose(1, 2)[..., :f]
