"""Labels as numbers, whatever they are written as, and the names of the classes."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cplearn_solo.core.errors import require
from cplearn_solo.data.notes import say_once

NUMBER = re.compile(r"(0|[1-9]\d{0,17})(\.0*)?")  # 007 is a name, and so is a number that int64 may not hold
BELOW_ZERO = re.compile(r"-[1-9]\d*(\.0*)?")
HIDDEN = re.compile(r"-1(\.0*)?")  # the hub's sign for no label
NAN = ("nan", "NaN", "NAN")  # as programs write a missing value
ABSENT = ("none", "null", "na", "n/a", "#n/a", "<na>", r"\n")  # so do others, but a class may be called so
DIGITS = re.compile(r"\d+(\.0*)?")
MOST_CLASSES = 1_000_000  # of numeric labels; larger numbers usually count something else


@dataclass(frozen=True)
class Labels:
    """``values`` are int64 of shape (N,), -1 for none; ``names`` those of the classes, empty if they have none."""

    values: np.ndarray
    names: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        return len(self.names) or int(self.values.max(initial=-1)) + 1


def unlabelled(count: int) -> Labels:
    """Labels of ``count`` images without a label."""
    return Labels(np.full(count, -1, np.int64))


def from_names(names: Sequence[str | None]) -> Labels:
    """Labels from names of classes, whose sorted order numbers them; ``None`` and "" are no label.

    >>> from_names(["dog", "cat", None]).values.tolist()
    [1, 0, -1]
    """
    known = sorted(set(filter(None, names)))
    values = {name: number for number, name in enumerate(known)}
    return Labels(np.fromiter((values.get(name, -1) for name in names), np.int64, len(names)), tuple(known))


def from_words(words: Sequence[str | None], *, numbers: bool = True) -> Labels:
    """Labels from words in a file: :func:`from_names`, but NaN is no label, and beside names nor is -1.

    With ``numbers``, words that are all whole numbers from 0 up are the labels themselves.

    >>> from_words(["2", "0", ""]).values.tolist()
    [2, 0, -1]
    >>> from_words(["2.0", "NaN"]).values.tolist()
    [2, -1]
    >>> from_words(["cat", "-1", "nan"]).values.tolist()
    [0, -1, -1]
    """
    known = {word for word in words if word and word not in NAN}
    hidden = set(filter(HIDDEN.fullmatch, known))
    numeric = all(map(NUMBER.fullmatch, known - hidden))
    if numeric and numbers:
        values = {word: int(word.partition(".")[0]) for word in known}
        return Labels(np.fromiter((values.get(word, -1) for word in words), np.int64, len(words)))
    absent = hidden.union(NAN) if not numeric else NAN
    return from_names([None if word in absent else word for word in words])


def require_classes(words: Sequence[str | None], key: str, place: object) -> None:
    """Raises ``InputError`` for numbers if some have fractions or are below 0: -1 may be no label, or one of two
    classes."""
    known = {word for word in words if word and word not in NAN}
    below = sorted(filter(BELOW_ZERO.fullmatch, known))
    fractions = sorted(filter(_is_fraction, known))
    if not all(map(NUMBER.fullmatch, known.difference(below, fractions))):
        return
    wanted = f"images with labels that are names or whole numbers, and it holds {''.join(fractions[:1])}"
    require(not fractions, key, str(place), wanted)
    wanted = f"images with labels from 0 up, empty where there is none, and it holds {''.join(below[:1])}"
    require(not below, key, str(place), wanted)


def _is_fraction(word: str) -> bool:
    """Whether a word is a number that is not whole."""
    try:
        value = float(word)
    except ValueError:
        return False
    return math.isfinite(value) and not value.is_integer()


def tell_absent(labels: Labels, place: object, empty: str) -> None:
    """Prints which classes have a name that other programs write where there is no label; here that is ``empty``."""
    found = [name for name in labels.names if name.lower() in ABSENT]
    if found:
        say_once(f"classes of {place} are called {', '.join(found)}; images without a label have {empty} there")


def joined_labels(parts: Sequence[Labels]) -> Labels:
    """Labels of several parts, with classes matched by name; labels that are numbers stay as they are.

    Classes keep the order of the first part that names them if it has all of them, else they are sorted. A name in two
    Unicode spellings is one class, with the first spelling.
    """
    named = [part.names for part in parts if part.names]
    spelled: dict[str, str] = {}
    for name in (name for names in named for name in names):
        spelled.setdefault(_composed(name), name)
    as_first = bool(named) and sorted(map(_composed, named[0])) == sorted(spelled)
    order = named[0] if as_first else tuple(sorted(spelled.values()))
    values = np.concatenate([_renumbered(part, order) for part in parts])
    return Labels(values, order)


def matched(labels: Labels, train: Labels, key: str, path: object) -> Labels:
    """Labels of scored images, with the numbers of the training classes.

    Classes are matched by name if both have names. Raises ``InputError`` for a class that is no training class, and if
    only one of the two has names and these are numbers other than their positions.
    """
    _refuse_two_meanings(labels, train, key, path)
    if labels.names and train.names:
        known = set(map(_composed, train.names))
        for name in labels.names:
            wanted = f"images of the classes in data.train_path, and {name!r} is none of them"
            require(_composed(name) in known, key, str(path), wanted)
        return Labels(_renumbered(labels, train.names), train.names)
    return Labels(labels.values, train.names)


def _refuse_two_meanings(labels: Labels, train: Labels, key: str, path: object) -> None:
    """With class folders named 1 to 10, label 1 may mean the folder 1, or the second in sorted order, 10."""
    named, numbered = (labels, train) if labels.names else (train, labels)
    if numbered.names or not (numbered.values >= 0).any():
        return
    places = {name: place for place, name in enumerate(named.names) if DIGITS.fullmatch(name)}
    moved = [name for name, place in places.items() if int(name.partition(".")[0]) != place]
    wanted = "images whose classes are written as those in data.train_path: one has classes named by numbers, such as"
    require(not moved, key, str(path), f"{wanted} {', '.join(moved[:3])}, the other labels that are numbers")


def _renumbered(labels: Labels, order: tuple[str, ...]) -> np.ndarray:
    if not labels.names or labels.names == order:
        return labels.values
    number = {_composed(name): i for i, name in enumerate(order)}
    new = np.array([*(number[_composed(name)] for name in labels.names), -1])  # the last for -1
    return new[labels.values]


def _composed(name: str) -> str:
    """A name as it is compared: folders of macOS have two characters for ä, others have one."""
    return unicodedata.normalize("NFC", name)
