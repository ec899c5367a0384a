"""The processes of a run; imports nothing large."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Collection
from multiprocessing.process import BaseProcess

RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")


def is_first() -> bool:
    """Whether this is the first process of its run, which prints and writes files."""
    return all(os.environ.get(name, "0") == "0" for name in RANKS)


def end_with_parent() -> None:
    """From now on, this process ends within a second after its parent process has ended."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)  # nothing is lost: the next attempt continues

    threading.Thread(target=watch, daemon=True).start()


def end_children(children: Collection[BaseProcess]) -> None:
    """Kills children that block SIGTERM (:func:`cplearn_solo.core.stops.held_back`): Python would wait for them."""
    if children and hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch would report the end of a worker as an error
    for child in children:
        child.kill()
