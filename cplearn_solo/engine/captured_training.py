"""What of a training is captured, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from torch.optim import Optimizer

from cplearn_solo.engine.captured import CapturedStep
from cplearn_solo.engine.captured_updates import CapturedOptimizer, CapturedTeacher
from cplearn_solo.engine.captured_views import CapturedViews


@dataclass
class CapturedTraining:
    """Each part stands in the place of what makes it as it comes; the optimizer's steps until :meth:`release`."""

    views: CapturedViews
    step: CapturedStep
    teacher: CapturedTeacher | None
    optimizer: CapturedOptimizer | None = None

    def take(self, optimizer: Optimizer) -> None:
        """The steps of ``optimizer``, too, if they can be captured."""
        if CapturedOptimizer.is_possible(optimizer):
            self.optimizer = CapturedOptimizer(optimizer, self.step.capture)

    def release(self) -> None:
        """Gives ``optimizer.step`` back."""
        if self.optimizer is not None:
            self.optimizer.release()
