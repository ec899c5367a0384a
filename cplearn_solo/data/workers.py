"""Processes that read image files: how many, and how far ahead of the training they work."""

from __future__ import annotations

from typing import Any

from cplearn_solo.core.cores import cores

Workers = int | str  # a number, or "auto"

ENOUGH = 16  # workers that only decode and cut feed any GPU
AHEAD = 2**30  # bytes that a training process has its workers prepare
MOST_AHEAD = 8  # batches of each worker, however small they are


def worker_number(asked: Workers, *, colour: bool, processes: int) -> int:
    """What was ``asked``; for ``auto`` as many as there are cores for each of ``processes`` that train on this machine.

    Workers that do not make ``colour`` as well are ``ENOUGH`` at most. There is at least one, so that files are read
    while the training process waits for its device.
    """
    if asked != "auto":
        return int(asked)
    each = max(1, cores() // processes)
    return each if colour else min(each, ENOUGH)


def worker_settings(workers: int, batch_bytes: int) -> dict[str, Any]:
    """Arguments of a DataLoader for that many, each of which has batches of ``AHEAD`` bytes ready with the others."""
    if not workers:
        return {"num_workers": 0}
    batches = AHEAD // (workers * batch_bytes)
    return {"num_workers": workers, "prefetch_factor": min(max(1, batches), MOST_AHEAD)}
