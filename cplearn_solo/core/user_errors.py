"""How a program reports to its user: one line for bad input, one line for a warning, on any terminal."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper

from cplearn_solo.core.errors import InputError, lost_worker
from cplearn_solo.core.files import why_not_written
from cplearn_solo.core.lines import on_a_line
from cplearn_solo.core.messages import messages_apart
from cplearn_solo.core.out_of_memory import lack_of_memory
from cplearn_solo.core.processes import end_children, is_first
from cplearn_solo.core.stops import SLURMS, asked, requeue, stops

PIPE = 13  # SIGPIPE, which Windows lacks


@contextmanager
def user_errors(program: str) -> Iterator[None]:
    """Ends ``program`` with one line on standard error: with exit code 2 if its block raises ``InputError``, cannot
    write, loses a data worker or runs out of memory, and with 128 plus the signal's number, as in shells, if a signal
    asks it to end.

    In the block, our warnings are lines too. Messages of other packages go to a file, which a line names at a good
    end. Letters that the terminal lacks (ASCII, code page 437) are question marks. All this is undone afterwards.
    """
    streams = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, TextIOWrapper)]
    on_missing_letters = [stream.errors for stream in streams]
    with messages_apart() as messages, stops():
        for stream in streams:
            stream.reconfigure(errors="replace")
        try:
            with _consequences_of_a_stop():
                yield
            sys.stdout.flush()
            if is_first():
                messages.tell()
        except InputError as error:
            reason = str(error).rsplit("InputError: ")[-1]  # an error of a data worker includes the worker's traceback
            # only line breaks become spaces: names of files keep theirs, of which Unicode has many
            reason = on_a_line(" ".join(filter(None, map(str.strip, reason.splitlines()))))
            _end(f"{program}: error: {reason}", 2)
        except KeyboardInterrupt as stop:  # its text, if any, says how to go on
            if not is_first():  # the first process prints, and treats any that fails as lost
                _end("", 0)
            number = asked() or signal.SIGINT
            if number == SLURMS:
                requeue()
            _end(f"{program}: {stop if str(stop) else 'stopped'}", 128 + number)
        except BrokenPipeError:  # the reader of the output, such as head(1), has stopped
            _end("", 128 + PIPE)
        except Exception as error:
            if isinstance(error, OSError) and (reason := why_not_written(error)):
                _end(f"{program}: error: {error.filename or 'standard output'}: {reason}", 2)
            if how := lost_worker(error):
                _end(f"{program}: error: {how}, perhaps for want of memory", 2)
            if how := lack_of_memory(error):
                _end(f"{program}: error: memory ran out: {how}", 2)
            messages.tell()
            _end_helpers()
            raise
        finally:
            for stream, errors in zip(streams, on_missing_letters):
                stream.reconfigure(errors=errors)


@contextmanager
def _consequences_of_a_stop() -> Iterator[None]:
    """After a signal has asked the program to end, errors are treated as consequences of it."""
    try:
        yield
    except Exception as error:
        if asked() is None:
            raise
        raise KeyboardInterrupt from error


def _end(line: str, code: int) -> None:
    """Ends the program and its helpers with a line on standard error, which may be closed already."""
    error = sys.exc_info()[1]
    while error is not None:  # frees what the failed code still holds, such as data loaders, which may complain
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    _end_helpers()
    for stream, text in ((sys.stdout, ""), (sys.stderr, line)):
        try:
            print(text, end="\n" if text else "", file=stream, flush=True)
        except OSError:  # Python would try again at exit, and print an error
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    raise SystemExit(code) from None


def _end_helpers() -> None:
    end_children([child for child in multiprocessing.active_children() if child.daemon])
