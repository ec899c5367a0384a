"""The sweeps for CPUs with AVX2 or AVX-512: each sweep is one call of ``lookup.cpp`` in every thread.

Samples are in panels: ``(views, n)`` becomes ``(views, panels, LANES)``, with lanes beyond the last sample empty.
"""

from __future__ import annotations

import ctypes
import math
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from cplearn_solo.core.messages import Notice
from cplearn_solo.objective.packed import PackedDictionary
from cplearn_solo.objective.softmax_sums import SoftmaxSums, TileSums
from cplearn_solo.objective.spec import LossAndGradient, LossSpec
from cplearn_solo.objective.sweeps import Sweeps

LANES = 32  # as in lookup.cpp
TABLE = 8 * 16 * LANES
VECTORS = ("avx2", "avx512")  # instruction sets that setup.py builds for
TILE = 1024  # codes: the logits of a hundred samples stay in a core's cache


@cache
def library() -> ctypes.CDLL | None:
    """``lookup.cpp`` as built for this processor's vector instructions, or ``None`` if it was not built. A notice then
    says so if it could have been built.
    """
    vectors = torch.backends.cpu.get_cpu_capability().lower()
    files = [Path(__file__).with_name(f"_lookup_{vectors}{suffix}") for suffix in EXTENSION_SUFFIXES]
    built = next((ctypes.CDLL(str(file)) for file in files if file.exists()), None)
    if built is None and vectors in VECTORS and sys.platform == "linux":
        lacking = "CPLearn's loss takes up to three times as long: there was no C++ compiler at the installation"
        warnings.warn(lacking, Notice, stacklevel=2)
    return built


def lookup(h: Tensor, spec: LossSpec) -> LossAndGradient:
    """The objective of embeddings ``(views, n, f)`` on a CPU, in float32, where all samples share a mean assignment."""
    return LookupSweeps(h.float(), spec).run()


class Shard(ctypes.Structure):
    """``Shard`` of ``lookup.h``, field by field."""

    _fields_ = [
        (name, ctypes.c_void_p if name in ("words", "tables", "logits", "entries", "sums") else ctypes.c_int64)
        for name in (
            *("words", "stride", "count", "tables", "views", "panels", "codes", "width", "kept"),
            *("logits", "entries", "sums"),
        )
    ]


class Shards:
    """The codes divided among threads; ``bounds``: first code of each shard, and one past its last code."""

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
        self._memory = words, tables, logits, entries, sums  # kept alive: the shards hold pointers to it
        self.shards = [
            Shard(
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

    def call(self, sweep: str, arguments: list[tuple[Tensor | float | bool | int, ...]]) -> None:
        """Calls a function of ``lookup.cpp`` for all shards at once, each in a thread with its own ``arguments``."""
        function = getattr(library(), sweep)
        calls = [
            [ctypes.byref(shard), *map(_argument, given)] for shard, given in zip(self.shards, arguments, strict=True)
        ]
        with ThreadPoolExecutor(len(calls)) as pool:
            for others in calls[1:]:
                pool.submit(function, *others)
            function(*calls[0])


def _argument(x: Tensor | float | bool | int) -> Any:
    kinds = {bool: ctypes.c_bool, int: ctypes.c_int64, float: ctypes.c_float}
    return ctypes.c_void_p(x.data_ptr()) if isinstance(x, Tensor) else kinds[type(x)](x)


class LookupSweeps(Sweeps):
    """Each sweep goes over all codes in C++."""

    def __init__(self, h: Tensor, spec: LossSpec) -> None:
        super().__init__(h, spec)
        self.views, self.reverse = len(h), spec.prior_loss == "reverse"
        self.shards = Shards(h, spec.dictionary, spec.temperature, kept_bytes=spec.kept_bytes)

    def softmax_sums(self, first: int) -> list[TileSums]:
        shards, views, count = self.shards, self.views, len(self.terms)
        tiles = [-(-(stop - start) // shards.width) for start, stop in shards.bounds]
        top = shards.new(len(tiles), tiles[0], views)
        sums = shards.new(len(tiles), tiles[0], views + count)
        code = shards.new(len(tiles), tiles[0], dtype=torch.int32)
        terms = torch.tensor(self.terms, dtype=torch.int32)
        shards.call("first_sweep", [(terms, count, *found) for found in zip(top, sums, code)])
        result = []
        for k, (start, _) in enumerate(shards.bounds):
            for t in range(tiles[k]):
                max_logit, added, j = (shards.samples(found[k, t]) for found in (top, sums, code))
                codes = first + start + t * shards.width + j.long()
                result.append(TileSums(max_logit, added[:views], added[views:], codes))
        return result

    def mean_assignments(self, sums: SoftmaxSums) -> tuple[Tensor, Tensor]:
        shards, spec = self.shards, self.spec
        c, log_n, shift = spec.dictionary.c, math.log(spec.samples), self._shift(sums)
        log_target = (spec.log_prior(slice(None), like=shift) + log_n).expand(c).contiguous()
        log_sums, grad_sums = shift.new_empty(self.views, c), shards.new(len(shards.bounds), self.views).zero_()
        shards.call(
            "second_sweep",
            [
                (shift, log_target[start:], self.reverse, log_sums[:, start:], c, grad_sum)
                for (start, _), grad_sum in zip(shards.bounds, grad_sums)
            ],
        )
        return (log_sums - log_n)[:, None], shards.samples(grad_sums.sum(dim=0, dtype=torch.float64))

    def gradient(self, sums: SoftmaxSums, log_ratio: Tensor, constant: Tensor) -> Tensor:
        shards, spec, f = self.shards, self.spec, self.spec.dictionary.f
        gradients = log_ratio.new_zeros(len(shards.bounds), self.views, shards.panels, shards.rows, LANES)
        paired = log_ratio.new_tensor([[b in others for b in range(self.views)] for others in self.partners])
        top, shift, constant = shards.fill(sums.max_logit), self._shift(sums), shards.fill(constant)
        shards.call(
            "third_sweep",
            [
                (top, shift, log_ratio[..., start:], spec.dictionary.c, constant, paired, spec.beta, self.reverse, grad)
                for (start, _), grad in zip(shards.bounds, gradients)
            ],
        )
        return shards.samples(gradients.sum(dim=0).transpose(1, 2)).transpose(1, 2)[..., :f]

    def _shift(self, sums: SoftmaxSums) -> Tensor:
        """log-sum-exp z in panels, infinite in empty lanes: their p is 0."""
        return self.shards.fill(sums.max_logit + sums.log_sum_exp, math.inf)
