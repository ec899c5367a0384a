"""Whether a network has learned anything: whether it scores better than chance and than random weights."""

from __future__ import annotations

import math
from typing import NamedTuple

from cplearn_solo.metrics.own_view import Measured

ERRORS = 2.0  # a difference of so many standard errors is unlikely by chance
FEWEST = 100  # samples; with fewer, nothing is concluded


class Compared(NamedTuple):
    """A score called ``name``: of the trained network, of random weights in the same architecture, and of chance.

    Unknown values are ``None``.
    """

    name: str
    trained: Measured
    random: Measured | None
    chance: float | None


def accuracy(value: float, samples: int) -> Measured:
    """An accuracy on ``samples`` samples with its binomial standard error."""
    return Measured(value, math.sqrt(value * (1 - value) / samples))


def not_learned(labelled: list[Compared], views: Compared | None) -> str:
    """Why a network has learned nothing, as far as these scores can tell; empty if it has learned something.

    ``labelled``: accuracies of classes, empty without labels; ``views``: :func:`own_view_accuracy`. It has learned
    something if, by more than two standard errors,

    * one of ``labelled``, if there are any, is above chance;
    * and ``views`` or one of ``labelled`` is above its value for random weights. This is not tested if random weights
      recognise views so well that nothing can be clearly better.
    """
    against_chance = [score for score in labelled if score.chance is not None]
    if against_chance and not any(_above(s.trained, Measured(s.chance, 0.0)) for s in against_chance):
        words = ", ".join(f"{s.name} {s.trained.value:.3f}" for s in against_chance)
        return f"{words}, and {against_chance[0].chance:.3f} by naming the most frequent class"
    if views is None or views.random is None or not _above(Measured(1.0, 0.0), views.random):
        return ""
    compared = [score for score in (views, *labelled) if score.random is not None]
    if any(_above(score.trained, score.random) for score in compared):
        return ""
    return ", ".join(f"{s.name} {s.trained.value:.3f} (random weights {s.random.value:.3f})" for s in compared)


def _above(value: Measured, reference: Measured) -> bool:
    return value.value - reference.value > ERRORS * math.hypot(value.error, reference.error)
