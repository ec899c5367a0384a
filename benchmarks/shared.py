"""Shared code of benchmarks: a short run of a shipped configuration, clocks, and the speed of this machine."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from cplearn_solo.config.read import parse_config
from cplearn_solo.config.schema import Config

SCRIPTS = Path(__file__).parents[1] / "scripts/pretrain"


def short_run(folder: str, *, epochs: int, shipped: str = "digits/cplearn.yaml", **changes: Any) -> Config:
    """A shipped configuration with a run folder below ``folder``; on the CPU, no progress bar, never resumed."""
    silent = {
        "max_epochs": epochs,
        "enable_progress_bar": False,
        "accelerator": "cpu",
        "auto_resume": {"enabled": False},
        "checkpoint": {"dir": folder},
    }
    return parse_config(OmegaConf.merge(OmegaConf.load(SCRIPTS / shipped), silent, changes))


def timed(work: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> Callable[[], float]:
    """A way for :func:`turn_by_turn`: does ``work`` and returns its seconds by ``clock``."""

    def way() -> float:
        start = clock()
        work()
        return clock() - start

    return way


def turn_by_turn(ways: Mapping[str, Callable[[], float]], *, rounds: int = 5) -> dict[str, float]:
    """Median of the seconds that each of ``ways`` returns; in turns for ``rounds``, after one to warm up."""
    spent = [{name: way() for name, way in ways.items()} for _ in range(rounds + 1)][1:]
    return {name: statistics.median(turn[name] for turn in spent) for name in ways}


def flops_a_second() -> float:
    """Additions and multiplications per second in a product of large matrices."""
    a, out = torch.randn(2048, 2048), torch.empty(2048, 2048)
    return 2 * 2048**3 / turn_by_turn({"product": timed(lambda: torch.mm(a, a, out=out))})["product"]


def peak_megabytes() -> float:
    """Peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(main: Callable[[], None], work: Callable[..., Any]) -> None:
    """Runs ``main``; with arguments, prints the peak megabytes of ``work`` on them: without imports, and in all."""
    if len(sys.argv) == 1:
        return main()
    before = peak_megabytes()
    work(*sys.argv[1:])
    print(peak_megabytes() - before, peak_megabytes())


def own_process(script: str, *arguments: object) -> tuple[float, ...]:
    """The numbers that ``script`` prints when it is called with ``arguments``.

    Call it before any other work, because a process starts with the peak memory of its parent.
    """
    command = [sys.executable, script, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return tuple(map(float, done.stdout.split()))
