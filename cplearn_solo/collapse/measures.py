"""What a measure of the report is, and what it needs of a subject, or the reason why that is missing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from cplearn_solo.collapse.subject import Subject
from cplearn_solo.core.errors import InputError


@dataclass(frozen=True)
class Measurement:
    """A value and the largest that it could have, or the reason why there is none.

    Of a group of runs, ``value`` is their mean and ``spread`` their standard deviation.
    """

    value: float | None
    reason: str = ""
    of: float | None = None
    spread: float | None = None


@dataclass(frozen=True)
class Measure:
    """One row: ``compute`` gives its number, or raises ``InputError`` with the reason why a subject has none.

    ``of`` gives the largest possible value. ``same_dimension``: the part, Z or H, whose dimension must be the same in
    all subjects for their numbers to be comparable. ``follows``: what changes the number, of "shift", "scale" (of all
    dimensions alike) and "dimensions" (the scale of single ones); ``None`` for a row of a method, at its own scale.
    """

    section: str
    title: str
    note: str
    compute: Callable[[Subject], float]
    of: Callable[[Subject], float | None] = lambda subject: None
    same_dimension: str | None = None
    follows: tuple[str, ...] | None = ("dimensions",)


def measure(row: Measure, subject: Subject) -> Measurement:
    """The number of ``row`` for ``subject``."""
    try:
        value, of = float(row.compute(subject)), row.of(subject)
    except InputError as error:
        return Measurement(None, str(error))
    if not math.isfinite(value):
        return Measurement(None, f"the result is {value}")
    return Measurement(value, of=of)


def representation(subject: Subject) -> Tensor:
    """Z ``(n, d)``."""
    return subject.features


def embeddings(subject: Subject) -> Tensor:
    """H ``(n, f)``."""
    if subject.embeddings is None:
        raise InputError("no embeddings: there are features only")
    return subject.embeddings


def codes(subject: Subject) -> Tensor:
    """The code of each sample ``(n,)``."""
    if subject.codes is None:
        raise InputError("no code assignment")
    return subject.codes


def clustered(subject: Subject) -> Tensor:
    """Embeddings, in which codes are assigned, or features without any."""
    return subject.features if subject.embeddings is None else subject.embeddings


def classes(subject: Subject) -> tuple[Tensor, Tensor]:
    """Which samples have a label, booleans ``(n,)``, and those labels, of two or more classes."""
    if subject.labels is None:
        raise InputError("no labels")
    known = subject.labels >= 0
    labels = subject.labels[known]
    if len(labels.unique()) < 2:
        raise InputError("one class only: needs at least two")
    return known, labels
