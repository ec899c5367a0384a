"""The one kind of error that users see: a line that names the key, the value and the choices."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pickle import UnpicklingError

_A_LINE = 80  # characters; longer lists of choices are shortened to the likely ones
_KEY = re.compile(r"(?:unknown )?(.+?)(?: = | ['\"])")  # in an error line


class InputError(ValueError):
    """Bad input from a user: one line that names the key, the value and the choices.

    Command-line programs print it without a traceback and exit with code 2; everything else is a bug and
    keeps its traceback.
    """


class NotWritten(InputError):
    """A file or folder that cannot be written: the disk is full, a quota is reached, a folder or drive is gone."""


class UnknownName(InputError, KeyError):
    """A name that is not among the choices."""

    __str__ = ValueError.__str__  # KeyError would show the repr


def unknown(kind: str, name: object, choices: Iterable[str], deeper: Iterable[str] = ()) -> UnknownName:
    """The error for ``name``: ``unknown method 'cplern': did you mean 'cplearn'? choices are ...``.

    With more than 40 choices, or close ones and a list longer than a line, only the close ones are listed, or the first
    ones. ``deeper``: dotted keys; those whose last part is ``name`` are meant if there are any.
    """
    names = sorted(choices)
    inside = sorted(key for key in deeper if key.endswith(f".{name}"))[:3]
    close = inside or get_close_matches(str(name), names, n=5, cutoff=0.5 if len(names) <= 40 else 0.6)
    hint = f"did you mean {' or '.join(map(repr, inside or close[:1]))}? " if close else ""
    listed = ", ".join(names) or "none"
    if len(names) > 40 or (close and len(listed) > _A_LINE):
        listed = ", ".join([*(close or names[:10]), f"... ({len(names)} in all)"])
    return UnknownName(f"unknown {kind} {name!r}: {hint}choices are {listed}")


def require_known(kind: str, name: object, choices: Collection[str]) -> None:
    """Raises the error of :func:`unknown` unless ``name`` is among ``choices``."""
    if name not in choices:
        raise unknown(kind, name, choices)


def some(names: Sequence[str], most: int = 10) -> str:
    """The first ``most`` of these names, and how many more there are.

    >>> some(["red", "green", "blue"], 2)
    'red, green and 1 more'
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def require(ok: bool, key: str, value: object, wanted: str) -> None:
    """Raises ``InputError``, ``key = value: must be wanted``, unless ``ok``."""
    if not ok:
        raise InputError(f"{key} = {value!r}: must be {wanted}")


def shown(value: object) -> str:
    """A value in an error line; of what is no plain value only the type, as the content may fill pages."""
    return repr(value) if value is None or isinstance(value, (str, int, float)) else f"<{type(value).__name__}>"


@contextmanager
def keys_named(names: Mapping[str, str]) -> Iterator[None]:
    """In this block, errors ``key = value: ...`` and ``unknown key value: ...`` name keys as the user wrote them;
    ``names``: the user's keys by the names that functions use."""
    try:
        yield
    except InputError as error:
        found = _KEY.match(str(error))
        if found is None or found[1] not in names:
            raise
        text = str(error)
        raise type(error)(text[: found.start(1)] + names[found[1]] + text[found.end(1) :]) from error


def reason_of(error: BaseException) -> str:
    """The first line of a library's error message, or the name of the error if the message is empty.

    If PyTorch refuses to unpickle more than tensors, only its first sentence: the next ones say how to bypass it.
    """
    line = str(error).strip().partition("\n")[0]
    return (line.partition(". ")[0] if isinstance(error, UnpicklingError) else line) or type(error).__name__


def lost_worker(error: BaseException | None) -> str:
    """PyTorch's message about a dead data worker, if that caused ``error``, else empty. ``error`` itself may be of
    another kind: libraries may have raised it as a consequence."""
    while error is not None and not isinstance(error, InputError):
        if isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker"):
            return str(error).partition("\n")[0].strip().removesuffix(".")
        error = error.__cause__ or error.__context__
    return ""
