"""Lines about the data that are printed once, by one process of a run."""

from __future__ import annotations

import os
from collections import Counter
from functools import cache

RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")


@cache
def say_once(line: str) -> None:
    """Prints ``line``, unless this process did already or is not the first of a run."""
    if all(os.environ.get(name, "0") == "0" for name in RANKS):
        print(line, flush=True)


def counted(what: Counter[str]) -> str:
    """Kinds with their numbers, most first.

    >>> counted(Counter({".mov": 3, ".txt": 5}))
    '5 .txt, 3 .mov'
    """
    return ", ".join(f"{number} {kind}" for kind, number in what.most_common() if number)
