"""Images of which nothing says what their labels are: they may have none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from cplearn_solo.core.errors import InputError, require

Read = TypeVar("Read")


class NoLabels(InputError):
    """Nothing says which labels images have; ``likely``: there is something that may be their labels."""

    likely = False


def require_labels(ok: bool, key: str, value: object, wanted: str, *, likely: bool) -> None:
    """Raises :class:`NoLabels`, ``key = value: must be wanted``, unless ``ok``."""
    try:
        require(ok, key, value, wanted)
    except InputError as error:
        without = NoLabels(str(error))
        without.likely = likely
        raise without from None


def all_labelled(reads: Iterable[Callable[[], Read]]) -> list[Read]:
    """What all of ``reads`` return, each of which reads images with their labels.

    Raises the first :class:`NoLabels` that one of them raises, ``likely`` if others have labels or may have some.
    """
    found, without = [], []
    for read in reads:
        try:
            found.append(read())
        except NoLabels as error:
            without.append(error)
    if without:
        without[0].likely = bool(found) or any(error.likely for error in without)
        raise without[0]
    return found
