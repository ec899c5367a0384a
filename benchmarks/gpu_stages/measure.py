"""Times on a device, and the floors that they are compared with."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gpu_stages.report import read


def milliseconds(work: Callable[[], Any], device: str, *, budget: float = 1.0) -> float:
    """Median time of a call of ``work``, after two calls to warm up, within about ``budget`` seconds."""
    for _ in range(2):
        spent = _once(work, device)
    repeats = max(3, min(50, int(1000 * budget / max(spent, 1e-3))))
    return statistics.median(_once(work, device) for _ in range(repeats))


def _once(work: Callable[[], Any], device: str) -> float:
    if device == "cpu":
        start = time.perf_counter()
        work()
        return 1000 * (time.perf_counter() - start)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    work()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def peak_megabytes(work: Callable[[], Any], device: str) -> float | None:
    """Peak memory of the device during ``work``, minus the memory held before; ``None`` on a CPU."""
    if device == "cpu":
        return None
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def free_bytes(device: str) -> float:
    return float("inf") if device == "cpu" else torch.cuda.mem_get_info()[0]


def floor_ms(folder: Path, *, operations: float, moved: float, products: str) -> float | None:
    """Time of ``operations`` at the speed of ``products``, or of ``moved`` bytes, whichever is longer.

    Speeds are the measured ceilings of this machine; ``None`` without them.
    """
    rows = {row["what"]: row["value"] for row in read(folder).get("ceilings", {}).get("rows", [])}
    speed, copies = rows.get(f"product, {products}"), rows.get("copy")
    if not speed or not copies:
        return None
    return 1000 * max(operations / (speed * 1e12), moved / (copies * 1e9))
