"""Measures of the report, and the data that they need of a subject, or the reason why it is missing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from cplearn_solo.collapse.subject import Subject
from cplearn_solo.core.errors import InputError


@dataclass(frozen=True)
class Measurement:
    """A value and its largest possible value ``of``, or the ``reason`` why there is none.

    For a group of runs, ``value`` is their mean and ``spread`` their standard deviation.
    """

    value: float | None
    reason: str = ""
    of: float | None = None
    spread: float | None = None


@dataclass(frozen=True)
class Measure:
    """A row; ``compute`` returns its number, or raises ``InputError`` with the reason if there is none.

    ``of`` returns the largest possible value. ``same_dimension``: the part, Z or H, whose dimension must be the same in
    all subjects for their numbers to be comparable. ``follows``: changes of features that change it: "shift", "scale"
    (of all dimensions) and "dimensions" (scales of single ones); ``None`` for a row that a method adds.
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
    """The representation Z ``(n, d)``."""
    return subject.features


def embeddings(subject: Subject) -> Tensor:
    """The embeddings H ``(n, f)``; ``InputError`` without any."""
    if subject.embeddings is None:
        raise InputError("no embeddings: there are features only")
    return subject.embeddings


def codes(subject: Subject) -> Tensor:
    """The code of each sample ``(n,)``; ``InputError`` without codes."""
    if subject.codes is None:
        raise InputError("no code assignment")
    return subject.codes


def clustered(subject: Subject) -> Tensor:
    """Embeddings, from which codes are assigned, or features if there are none."""
    return subject.features if subject.embeddings is None else subject.embeddings


def classes(subject: Subject) -> tuple[Tensor, Tensor]:
    """Which samples have a label, as booleans ``(n,)``, and these labels; ``InputError`` for fewer than two classes."""
    if subject.labels is None:
        raise InputError("no labels")
    known = subject.labels >= 0
    labels = subject.labels[known]
    if len(labels.unique()) < 2:
        raise InputError("one class only: needs at least two")
    return known, labels
