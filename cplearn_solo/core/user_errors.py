"""What a program tells its user: one line for bad input, one line for a warning, on any terminal."""

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
from cplearn_solo.core.messages import messages_apart
from cplearn_solo.core.processes import end_children, is_first
from cplearn_solo.core.stops import SLURMS, asked, requeue, stops

PIPE = 13  # SIGPIPE, which Windows has not


@contextmanager
def user_errors(program: str) -> Iterator[None]:
    """Ends ``program`` with one line on standard error where its block raises ``InputError`` or nothing more can be
    written, with exit code 2, or is asked to end by a signal, with 128 and its number as shells do.

    In the block our warnings are lines too, what other packages say goes to a file, which a line names at a good end,
    and letters that the terminal lacks (ASCII, code page 437) are question marks; afterwards all is as it was before.
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
            reason = str(error).rsplit("InputError: ")[-1]  # one from a data worker carries the worker's traceback
            # names of files keep their own spaces, of which Unicode has many
            _end(f"{program}: error: {' '.join(filter(None, map(str.strip, reason.splitlines())))}", 2)
        except KeyboardInterrupt as stop:  # its text, if any, says how to go on
            if not is_first():  # the first one tells, and takes whoever fails for lost
                _end("", 0)
            number = asked() or signal.SIGINT
            if number == SLURMS:
                requeue()
            _end(f"{program}: {stop if str(stop) else 'stopped'}", 128 + number)
        except BrokenPipeError:  # whoever read what is printed has enough, as head(1)
            _end("", 128 + PIPE)
        except OSError as error:
            if not (reason := why_not_written(error)):
                _end_helpers()
                raise
            _end(f"{program}: error: {error.filename or 'standard output'}: {reason}", 2)
        except Exception as error:
            if not (how := lost_worker(error)):
                messages.tell()
                _end_helpers()
                raise
            _end(f"{program}: error: {how}, perhaps for want of memory", 2)
        finally:
            for stream, errors in zip(streams, on_missing_letters):
                stream.reconfigure(errors=errors)


@contextmanager
def _consequences_of_a_stop() -> Iterator[None]:
    """Once a signal has asked the program to end, an error is what libraries made of that."""
    try:
        yield
    except Exception as error:
        if asked() is None:
            raise
        raise KeyboardInterrupt from error


def _end(line: str, code: int) -> None:
    """Ends the program with a line on standard error, though there may be nothing left to write to, and its helpers."""
    error = sys.exc_info()[1]
    while error is not None:  # what was under way ends here, and may complain of it
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    _end_helpers()
    for stream, text in ((sys.stdout, ""), (sys.stderr, line)):
        try:
            print(text, end="\n" if text else "", file=stream, flush=True)
        except OSError:  # Python would try again at its end, and tell
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    raise SystemExit(code) from None


def _end_helpers() -> None:
    end_children([child for child in multiprocessing.active_children() if child.daemon])
