"""The words of a verdict beside the four collapses, where they are listed without waiting for what judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEALTHY = "healthy"
TOO_EARLY = "too early to tell"  # training was too short to be judged
NOT_LEARNED = "no better than chance"  # not collapsed, but no better than a network that has learned nothing


def given_verdict(summary: Mapping[str, Any]) -> str | None:
    """The word in a run's summary, ``None`` without one; release 0.2.0 wrote none where it was too early to tell."""
    return summary.get("verdict", TOO_EARLY) if summary else None
