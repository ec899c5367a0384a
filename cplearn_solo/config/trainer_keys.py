"""The names of Lightning's Trainer arguments, each of which is a top-level key."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from cplearn_solo.core.signatures import read_classes

OURS = {"self", "callbacks", "enable_checkpointing", "logger", "plugins"}  # not a user's to set


@cache
def trainer_keys() -> frozenset[str]:
    """Read from Lightning's source: importing it takes seconds."""
    lightning = find_spec("lightning")
    if lightning is None or lightning.origin is None:
        raise ModuleNotFoundError("lightning is not installed")
    trainer = read_classes(Path(lightning.origin).parent / "pytorch" / "trainer" / "trainer.py")["Trainer"]
    return frozenset(trainer.keyword_only) - OURS
