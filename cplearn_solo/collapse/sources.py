"""From a path to the subject of a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cplearn_solo.collapse.arrays import from_arrays, read_arrays
from cplearn_solo.collapse.asked import ARRAYS
from cplearn_solo.collapse.runs import from_run, run_origin
from cplearn_solo.collapse.subject import Origin, Subject
from cplearn_solo.engine.find import CHECKPOINT_KEY


def read_subject(path: str | Path, *, images: int, data: dict[str, Any], seed: int, released: bool = False) -> Subject:
    """The run folder, checkpoint or file of features at ``path``, with a seeded choice of at most ``images`` samples.

    ``data`` overrides the data that a run was trained on. ``released``: also with Z and H as in the released
    code. Raises ``InputError`` for anything missing, damaged, of another shape or not finite.
    """
    path = Path(path)
    stored = _arrays(path)
    if stored is None:
        return from_run(path, images=images, data=data, seed=seed, released=released)
    return from_arrays(path, stored, images=images, seed=seed)


def read_origin(path: str | Path) -> Origin:
    """The origin of the subject at ``path``, without its features. Raises ``InputError`` as :func:`read_subject`."""
    path = Path(path)
    return run_origin(path) if _arrays(path) is None else Origin(path)


def _arrays(path: Path) -> dict[str, Any] | None:
    """The arrays of a file of features; ``None`` for a run or checkpoint."""
    stored = read_arrays(path) if path.suffix in ARRAYS else None
    return None if stored is None or CHECKPOINT_KEY in stored else stored
