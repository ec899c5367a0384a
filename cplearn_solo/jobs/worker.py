"""The function that a job's process runs."""

from __future__ import annotations

import errno
import gc
import json
import multiprocessing
import os
import sys
import threading
from pathlib import Path

from cplearn_solo.core.errors import NotWritten
from cplearn_solo.core.files import write_json
from cplearn_solo.core.locks import locked
from cplearn_solo.core.user_errors import user_errors
from cplearn_solo.jobs.job import LOG, NAME, RESULT, UNWRITTEN, Program

NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


def work(program: Program, folder: str, environment: dict[str, str]) -> None:
    """Does the job of ``folder`` in a process of its own, which ends if its parent process ends.

    Waits while another process does the same job; does nothing if there is a result already. Output goes to the log.
    Exit code 2, and a line in the log, for bad input; ``UNWRITTEN`` if nothing more can be written.
    """
    gc.freeze()  # imported modules: to search them for garbage costs each job a quarter of a second
    os.environ.update(environment)
    _write_to(Path(folder, LOG))
    if multiprocessing.parent_process():
        threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv = [sys.modules[program.__module__].__file__, folder]  # what Lightning runs for other devices
    result = Path(folder, RESULT)
    try:
        with user_errors(NAME), locked(Path(folder, ".lock")):
            _drop_damaged(result)
            if not result.exists():
                write_json(result, program(Path(folder)), indent=None)
    except SystemExit as end:
        raise SystemExit(UNWRITTEN if _is_no_room(end.__context__) else end.code) from None


def _drop_damaged(result: Path) -> None:
    """Removes an unreadable result: a power failure may leave an empty file."""
    try:
        json.loads(result.read_text())
    except FileNotFoundError:
        pass
    except ValueError:
        result.unlink()


def _is_no_room(error: BaseException | None) -> bool:
    return isinstance(error, NotWritten) or (isinstance(error, OSError) and error.errno in NO_ROOM)


def _write_to(log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(file, stream.fileno())


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)  # nothing is lost: the next attempt continues
