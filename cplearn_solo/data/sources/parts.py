"""The parts of a data set, named in files and folders as on the Hugging Face hub."""

from __future__ import annotations

import re

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
    words = [name.lower()] if whole else re.split(r"[-._ \d]+", name.lower())
    return next((PART_OF[word] for word in words if word in PART_OF), None)
