"""The processes of a run, before anything large is imported."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Collection
from multiprocessing.process import BaseProcess

RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")


def is_first() -> bool:
    """Whether this is the first process of its run, the one that speaks and writes."""
    return all(os.environ.get(name, "0") == "0" for name in RANKS)


def end_with_parent() -> None:
    """From now on this process ends, at most a second later, when the one that started it has."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)  # nothing is lost: the next attempt continues

    threading.Thread(target=watch, daemon=True).start()


def end_children(children: Collection[BaseProcess]) -> None:
    """Ends those that do not hear SIGTERM (:func:`cplearn_solo.core.stops.held_back`), for which Python would wait."""
    if children and hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch would take it for an accident
    for child in children:
        child.kill()
