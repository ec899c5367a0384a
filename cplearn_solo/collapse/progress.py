"""Progress of the work on a report."""

from __future__ import annotations

from collections.abc import Callable


class Steps:
    """Counts ``total`` steps, and calls ``report(done, total, title)`` before each."""

    def __init__(self, total: int, report: Callable[[int, int, str], None]) -> None:
        self.done, self.total, self.report = 0, total, report

    def start(self, title: str) -> None:
        """Begins the next step, called ``title``."""
        self.report(self.done, self.total, title)
        self.done += 1
