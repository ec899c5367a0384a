"""The one kind of error that users see: a line that names the key, the value and the choices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches

_KEY = re.compile(r"(?:unknown )?(.+?)(?: = | ['\"])")  # of a line of bad input


class InputError(ValueError):
    """Bad input from a user: one line that names the key, the value and the choices.

    Command-line programs print it without a traceback and exit with code 2; everything else is a bug and
    keeps its traceback.
    """


class NotWritten(InputError):
    """A file or folder that the file system does not let a program write: a full disk, a quota, one that is gone."""


class UnknownName(InputError, KeyError):
    """A name that is not among the choices."""

    __str__ = ValueError.__str__  # KeyError would show the repr


def unknown(kind: str, name: object, choices: Iterable[str]) -> UnknownName:
    """The error for ``name``, closest choices first: ``unknown method 'cplern': did you mean 'cplearn'? ...``."""
    names = sorted(choices)
    close = get_close_matches(str(name), names, n=5, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    listed = names if len(names) <= 40 else [*close, f"... ({len(names)} in all)"]
    return UnknownName(f"unknown {kind} {name!r}: {hint}choices are {', '.join(listed) or 'none'}")


def require(ok: bool, key: str, value: object, wanted: str) -> None:
    """Raises ``InputError``, ``key = value: must be wanted``, unless ``ok``."""
    if not ok:
        raise InputError(f"{key} = {value!r}: must be {wanted}")


@contextmanager
def keys_named(names: Mapping[str, str]) -> Iterator[None]:
    """In this block errors ``key = value: ...`` and ``unknown key value: ...`` name keys as a user wrote them: a
    function has names of its own."""
    try:
        yield
    except InputError as error:
        found = _KEY.match(str(error))
        if found is None or found[1] not in names:
            raise
        text = str(error)
        raise type(error)(text[: found.start(1)] + names[found[1]] + text[found.end(1) :]) from error


def lost_worker(error: BaseException | None) -> str:
    """What PyTorch says of a data worker that has died, if that is behind ``error``, which may be of another kind: the
    libraries on the way out may have stumbled over it."""
    while error is not None and not isinstance(error, InputError):
        if isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker"):
            return str(error).partition("\n")[0].strip().removesuffix(".")
        error = error.__cause__ or error.__context__
    return ""
