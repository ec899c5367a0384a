"""The names and types of Lightning's Trainer arguments, each of which is a top-level key."""

from __future__ import annotations

import ast
import builtins
import typing
from datetime import timedelta
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cplearn_solo.core.signatures import read_classes

OURS = {"self", "callbacks", "enable_checkpointing", "logger", "plugins"}  # users may not set these
REFUSED = {"min_epochs", "min_steps"}  # by name, as a run may end before: by max_steps, max_time or a signal


@cache
def trainer_keys() -> dict[str, Any]:
    """Types of the arguments by name, read from Lightning's source, because importing it takes seconds."""
    lightning = find_spec("lightning")
    if lightning is None or lightning.origin is None:
        raise ModuleNotFoundError("lightning is not installed")
    trainer = read_classes(Path(lightning.origin).parent / "pytorch" / "trainer" / "trainer.py")["Trainer"]
    return {key: _type(given.annotation) for key, given in trainer.keyword_only.items() if key not in OURS}


def _type(annotation: str | None) -> Any:
    """The annotated type; classes of Lightning become ``Any``."""
    text = annotation or "Any"
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    return eval(text, {**dict.fromkeys(names, Any), **vars(builtins), **vars(typing), "timedelta": timedelta})
