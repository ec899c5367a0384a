"""Processes that read image files: how many, and how far ahead of the training they work."""

from __future__ import annotations

from typing import Any

from cplearn_solo.core.cores import cores

Workers = int | str  # a number, or "auto"

ENOUGH = 16  # so many workers that only decode and cut are enough for any GPU
AHEAD = 2**30  # bytes of batches that all workers of a training process prepare in advance
MOST_AHEAD = 8  # batches that a worker prepares at most, however small they are


def worker_number(asked: Workers, *, colour: bool, processes: int) -> int:
    """The number ``asked`` for; for ``auto`` the cores of this machine over the ``processes`` that train on it.

    For ``auto`` it is at least 1, so that files are read while the training process waits for its device, and at most
    ``ENOUGH`` for workers without ``colour``.
    """
    if asked != "auto":
        return int(asked)
    each = max(1, cores() // processes)
    return each if colour else min(each, ENOUGH)


def worker_settings(workers: int, batch_bytes: int) -> dict[str, Any]:
    """Arguments of a DataLoader for so many workers, which together prepare batches of about ``AHEAD`` bytes."""
    if not workers:
        return {"num_workers": 0}
    batches = AHEAD // (workers * batch_bytes)
    return {"num_workers": workers, "prefetch_factor": min(max(1, batches), MOST_AHEAD)}
