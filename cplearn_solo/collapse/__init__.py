"""The collapse report: runs, checkpoints and features side by side, as figures and one page."""

from typing import TYPE_CHECKING

from cplearn_solo.core.lazy import lazy_imports

if TYPE_CHECKING:
    from cplearn_solo.collapse.report import Report, write_report

__getattr__, __all__ = lazy_imports(__file__)
