"""All captured parts of a training."""

from __future__ import annotations

from dataclasses import dataclass

from torch.optim import Optimizer

from cplearn_solo.engine.captured import CapturedStep
from cplearn_solo.engine.captured_updates import CapturedOptimizer, CapturedTeacher
from cplearn_solo.engine.captured_views import CapturedViews


@dataclass
class CapturedTraining:
    """Each part replaces the same work without a graph; the optimizer's steps do so until :meth:`release`."""

    views: CapturedViews
    step: CapturedStep
    teacher: CapturedTeacher | None
    optimizer: CapturedOptimizer | None = None

    def take(self, optimizer: Optimizer) -> None:
        """Captures the steps of ``optimizer``, too, if possible."""
        if CapturedOptimizer.is_possible(optimizer):
            self.optimizer = CapturedOptimizer(optimizer, self.step.capture)

    def release(self) -> None:
        """Restores ``optimizer.step``."""
        if self.optimizer is not None:
            self.optimizer.release()
