"""Words of a verdict besides the four collapses; programs that only list them need not import the code that judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEALTHY = "healthy"
TOO_EARLY = "too early to tell"  # training was too short to be judged
NOT_LEARNED = "no better than chance"  # not collapsed, but no better than an untrained network


def given_verdict(summary: Mapping[str, Any]) -> str | None:
    """The word in a run's summary, ``None`` for an empty summary; 0.2.0 wrote no word if it was too early to tell."""
    return summary.get("verdict", TOO_EARLY) if summary else None
