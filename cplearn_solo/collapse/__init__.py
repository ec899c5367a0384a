"""The collapse report: runs, checkpoints and features side by side, as figures and one page."""

from cplearn_solo.collapse.report import Report, write_report

__all__ = ["Report", "write_report"]
