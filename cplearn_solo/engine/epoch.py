"""Sums over an epoch. They stay on the device until they are requested, since reading a value waits for a GPU."""

from __future__ import annotations

import time
from collections.abc import Iterable

import torch
from torch import Tensor

from cplearn_solo.core.distributed import max_ranks, sum_ranks
from cplearn_solo.core.errors import InputError


class NotFinite(Exception):
    """Training has produced values that are infinite or not a number."""


class StepSums:
    """Sums of named scalars over the steps of an epoch."""

    def __init__(self) -> None:
        self.steps = 0
        self._sums: dict[str, Tensor] = {}

    def reset(self) -> None:
        self.steps = 0
        self._sums.clear()

    def add(self, values: dict[str, Tensor]) -> None:
        """Adds the scalars of one step."""
        self.steps += 1
        for name, value in values.items():
            if name in self._sums:
                self._sums[name] += value.detach()
            else:
                self._sums[name] = value.detach().to(torch.float32, copy=True)

    def over_ranks(self) -> dict[str, float]:
        """The sums over all steps of all processes."""
        names = sorted(self._sums)
        totals = sum_ranks(torch.stack([self._sums[name] for name in names]))
        return dict(zip(names, totals.tolist()))


class CodesInUse:
    """Which codes were assigned to a sample; ``total`` is ``None`` for a method without codes."""

    def __init__(self, total: int | None) -> None:
        self.total = total or 0
        self._used = torch.zeros(self.total, dtype=torch.bool)

    def reset(self, device: torch.device) -> None:
        self._used = torch.zeros(self.total, dtype=torch.bool, device=device)

    def add(self, codes: Tensor | None) -> None:
        """Marks ``codes`` ``(n,)``; raises ``InputError`` for codes of a method that has none, or not as many."""
        if codes is None:
            return
        if not self.total:
            raise InputError("the method gives codes, and its codes_total is None")
        try:
            self._used.index_fill_(0, codes, True)
        except IndexError as error:
            raise InputError(f"the method gives a code out of range: must be 0 to {self.total - 1}") from error

    def counts(self) -> dict[str, float]:
        """``codes_used`` over all processes; empty if no codes were assigned."""
        used = float((sum_ranks(self._used.int()) > 0).sum()) if self.total else 0
        return {"codes_used": used} if used else {}


class FiniteCheck:
    """Whether what ``method`` computes is finite, and the first step at which a part of its loss was not."""

    def __init__(self, method: str) -> None:
        self.method = method
        self._first_bad = torch.tensor(-1.0)

    def reset(self, device: torch.device) -> None:
        self._first_bad = torch.full((), -1, device=device)

    def require(self, what: str, values: Iterable[Tensor], step: int) -> None:
        """Raises :class:`NotFinite` if any of ``values``, which are called ``what``, is not finite in any process."""
        finite = torch.stack([value.isfinite().all() for value in values]).all()
        if max_ranks(1 - finite.int()):  # each process may have only a shard
            raise NotFinite(f"method {self.method!r}: the {what} are not finite after step {step}")

    def look(self, parts: dict[str, Tensor], step: int, *, report: bool) -> None:
        """Notes which scalars of ``parts`` are not finite; ``report`` raises :class:`NotFinite` for the first."""
        # the sum of all parts last: the part at fault says more
        names = sorted((name for name, value in parts.items() if value.ndim == 0), key=lambda name: name == "loss")
        bad = ~torch.stack([parts[name].detach().float() for name in names]).isfinite()
        self._first_bad = torch.where((self._first_bad < 0) & bad, step, self._first_bad)
        if not report:
            return
        for name, first in zip(names, self._first_bad.tolist()):
            if first >= 0:
                value = f" is {parts[name].item()}" if first == step else " was not finite"
                raise NotFinite(f"method {self.method!r}, step {first}: part {name!r} of the loss{value}")


class Stopwatch:
    """Seconds since :meth:`start`, without those between :meth:`pause` and :meth:`go_on`."""

    def __init__(self) -> None:
        self._started = self._paused = 0.0

    def start(self) -> None:
        self._started = time.perf_counter()

    def pause(self) -> None:
        self._paused = time.perf_counter()

    def go_on(self) -> None:
        self._started += time.perf_counter() - self._paused

    def seconds(self) -> float:
        return time.perf_counter() - self._started
