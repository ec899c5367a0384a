"""Lines about a run and its data that are printed once a run, by one of its processes."""

from __future__ import annotations

from collections import Counter
from functools import cache

from cplearn_solo.core.lines import on_a_line
from cplearn_solo.core.processes import is_first


@cache
def say_once(line: str) -> None:
    """Prints ``line``, unless this process did already or is not the first of a run.

    ``say_once.cache_clear()`` begins another run.
    """
    if is_first():
        print(on_a_line(line), flush=True)


def counted(what: Counter[str]) -> str:
    """Kinds with their numbers, the most frequent first.

    >>> counted(Counter({".mov": 3, ".txt": 5}))
    '5 .txt, 3 .mov'
    """
    return ", ".join(f"{number} {kind}" for kind, number in what.most_common() if number)
