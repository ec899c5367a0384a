"""Optimizer steps and the teacher's updates, captured once and replayed.

Learning rates and the teacher's weight change from step to step: they are numbers on the device that are written before
each replay. A graph cannot follow other settings of an optimizer, so they are compared before each replay.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from cplearn_solo.engine.captured import Capture, Replay
from cplearn_solo.engine.lars import LARS


class CapturedOptimizer:
    """Replaces ``optimizer.step`` until :meth:`release`.

    A step runs without a graph unless the step before had the same settings, except for learning rates, and the same
    gradient tensors, as :class:`CapturedStep` gives them: that step has then made all states.
    """

    def __init__(self, optimizer: Optimizer, capture: Capture) -> None:
        self._optimizer, self._capture, self._step = optimizer, capture, optimizer.step
        groups = optimizer.param_groups
        device = next(p.device for group in groups for p in group["params"])  # as a group may have none
        self._rates = [torch.zeros((), device=device) for _ in groups]
        self._settings: list[dict[str, Any]] = []
        self._gradients: list[Tensor | None] = []
        self._replay: Replay | None = None

        @wraps(optimizer.step)  # schedulers look at it, too
        def step(closure: Any = None) -> Any:
            loss = None if closure is None else closure()
            self._update()
            return loss

        optimizer.step = step  # type: ignore[method-assign]

    @staticmethod
    def is_possible(optimizer: Optimizer) -> bool:
        """Whether steps of ``optimizer`` take learning rates from the device and are counted there."""
        return isinstance(optimizer, LARS) or all(group.get("fused") for group in optimizer.param_groups)

    def release(self) -> None:
        """Restores ``optimizer.step``."""
        self._optimizer.step = self._step  # type: ignore[method-assign]

    def _update(self) -> None:
        if self._has_changed():
            self._replay = None
            self._step()
            return
        for rate, group in zip(self._rates, self._optimizer.param_groups):
            rate.fill_(group["lr"])
        if self._replay is None:
            self._replay = self._recorded()
        self._replay()

    def _has_changed(self) -> bool:
        """Whether anything but learning rates has changed since the step before."""
        groups = self._optimizer.param_groups
        settings = [{key: group[key] for key in group.keys() - {"params", "lr"}} for group in groups]
        gradients = [p.grad for group in groups for p in group["params"]]
        same = settings == self._settings and len(gradients) == len(self._gradients)
        same = same and all(x is before for x, before in zip(gradients, self._gradients))
        self._settings, self._gradients = settings, gradients
        return not same

    def _recorded(self) -> Replay:
        groups = self._optimizer.param_groups
        before = [dict(group) for group in groups]
        for group, rate in zip(groups, self._rates):
            group["lr"] = rate
            if "capturable" in group:
                group["capturable"] = True  # else PyTorch's optimizers refuse to be captured
        try:
            return self._capture(self._step)[1]
        finally:
            for group, own in zip(groups, before):
                group.update(own)


class CapturedTeacher:
    """Moves ``teacher`` towards ``online``, parameters of the same shapes, by a ``weight``: 1 - tau."""

    def __init__(self, teacher: Iterable[Tensor], online: Iterable[Tensor], capture: Capture) -> None:
        self._teacher, self._online, self._capture = list(teacher), list(online), capture
        self._weight: Tensor | None = None
        self._replay: Replay | None = None

    @torch.no_grad()
    def __call__(self, weight: float) -> None:
        if self._weight is None:
            self._weight = self._teacher[0].new_empty(())
        self._weight.fill_(weight)
        if self._replay is None:
            self._replay = self._capture(self._move)[1]
        self._replay()

    def _move(self) -> None:
        ways = torch._foreach_sub(self._online, self._teacher)
        torch._foreach_mul_(ways, self._weight)
        torch._foreach_add_(self._teacher, ways)
