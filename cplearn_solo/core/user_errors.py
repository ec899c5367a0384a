"""What a program tells its user: one line for bad input, one line for a warning, on any terminal."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper

from cplearn_solo.core.errors import InputError

TALKATIVE = ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch.trainer.connectors.checkpoint_connector")


@contextmanager
def user_errors(program: str) -> Iterator[None]:
    """Ends ``program`` with one line on standard error where its block raises ``InputError``, with exit code 2, or is
    interrupted, with 130 as shells do.

    In the block warnings are lines too, Lightning's loggers are quiet, and letters that the terminal lacks (ASCII,
    code page 437) are question marks; afterwards all is as it was before.
    """
    streams = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, TextIOWrapper)]
    on_missing_letters = [stream.errors for stream in streams]
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.showwarning = _one_line  # type: ignore[assignment]
        for stream in streams:
            stream.reconfigure(errors="replace")
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        try:
            yield
        except InputError as error:
            sys.stdout.flush()
            reason = str(error).rsplit("InputError: ")[-1]  # one from a data worker carries the worker's traceback
            print(f"{program}: error: {' '.join(reason.split())}", file=sys.stderr)
            raise SystemExit(2) from None
        except KeyboardInterrupt as stop:  # its text, if any, says how to go on
            sys.stdout.flush()
            print(f"{program}: interrupted{f'; {stop}' if str(stop) else ''}", file=sys.stderr)
            raise SystemExit(130) from None
        finally:
            for stream, errors in zip(streams, on_missing_letters):
                stream.reconfigure(errors=errors)
            for logger, level in zip(loggers, levels):
                logger.setLevel(level)


def _one_line(message: Warning | str, category: type[Warning], *_: object) -> None:
    if category is UserWarning:  # the others concern the authors of libraries
        print(f"warning: {message}", file=sys.stderr)
