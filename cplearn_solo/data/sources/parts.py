"""The parts of a data set, named in files and folders as on the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from cplearn_solo.data.notes import say_once
from cplearn_solo.data.sources.labels import NAN

# Words in names, and the part that they mean; huggingface.co/docs/datasets/repository_structure
PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
PART_OF = {word: part for part, words in PARTS.items() for word in words}


def part_of(name: str, *, whole: bool = False) -> str | None:
    """The part that a word in a name stands for; with ``whole`` the name must be the word.

    >>> part_of("train-00000-of-00002"), part_of("my_valid2"), part_of("trainer")
    ('train', 'validation', None)
    """
    words = [name.lower()] if whole else _words(name)
    return next((PART_OF[word] for word in words if word in PART_OF), None)


def only_part(name: str) -> bool:
    """Whether a name says nothing but a part of a data set, and perhaps a number of it.

    >>> only_part("train-00000-of-00002"), only_part("cats_train"), only_part("2024")
    (True, False, False)
    """
    words = [word for word in _words(name) if word not in ("", "of")]
    return len(words) > 0 and all(word in PART_OF for word in words)


def parts_among(words: set[str]) -> list[str]:
    """A word for each part of a data set that ``words`` name, but for those of an empty cell; none if some are other
    than names of parts.

    >>> parts_among({"test", "train", "training", ""}), parts_among({"train", "cat"})
    (['train', 'test'], [])
    """
    found = {part_of(word, whole=True): word for word in sorted(words.difference(("", *NAN)), reverse=True)}
    return [] if None in found else [found[part] for part in PARTS if part in found]


def tell_one_part(place: object, column: object, parts: Sequence[str], kind: str) -> None:
    """Prints once that all rows are read whatever a column says, if it names several ``parts``; ``kind`` of files."""
    if len(parts) > 1:
        told = f"all rows of {place} are read as one part, whatever column {column} says"
        say_once(f"{told}: {', '.join(parts[:-1])} and {parts[-1]} need a {kind} each")


def _words(name: str) -> list[str]:
    return re.split(r"[-._ \d]+", name.lower())


def train_and_other(names: Iterable[str]) -> tuple[str, str] | None:
    """The names of the training part and of another one, if both are among ``names``.

    >>> train_and_other(["val", "train", "bird"]), train_and_other(["train", "training"])
    (('train', 'val'), None)
    """
    parts = {name: part for name in sorted(names) if (part := part_of(name, whole=True))}
    train = next((name for name, part in parts.items() if part == "train"), None)
    other = next((name for name, part in parts.items() if part != "train"), None)
    return (train, other) if train and other else None
