"""Fingerprints of a run's images: counts and hashes, by which changed data is noticed and described."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from cplearn_solo.data.image_set import ImageSet

PARTS = {"train": "training images", "scored": "scored images"}


def fingerprint(train: ImageSet, scored: ImageSet | None) -> dict[str, Any]:
    """For each part the numbers of images and classes, and hashes of labels, names and sizes, in JSON's types.

    Files are not opened, and where a set is stored does not matter. Images in memory have no names and sizes.
    """
    return {part: _described(images) for part, images in (("train", train), ("scored", scored)) if images is not None}


def describe_change(old: dict[str, Any], new: dict[str, Any]) -> str:
    """How the data of two fingerprints differs, in a line; empty where it does not.

    >>> describe_change({"train": {"images": 32}}, {"train": {"images": 52}})
    'training images: 32 -> 52 images'
    """
    found = [f"{name}: {_change(old.get(part), new.get(part))}" for part, name in PARTS.items()]
    return "; ".join(line for line in found if not line.endswith(": "))


def describe_first_change(found: Sequence[dict[str, Any]]) -> str:
    """How the first fingerprint that differs from ``found[0]`` does so, in a line; empty if all are equal."""
    changes = (describe_change(found[0], other) for other in found[1:])
    return next(filter(None, changes), "")


def _described(images: ImageSet) -> dict[str, Any]:
    from cplearn_solo.data.image_set import FileSet  # imports PyTorch, which a comparison does not need

    found = {
        "images": len(images),
        "classes": images.num_classes,
        "labels": _hash([images.labels.numpy()], *images.classes),
    }
    if isinstance(images, FileSet):
        found |= {"names": _hash(images.sources.known_by()), "sizes": _hash([images.sources.sizes])}
    return found


def _hash(arrays: Iterable[np.ndarray], *words: str) -> str:
    digest = blake2b(repr(words).encode(), digest_size=8)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).view(np.uint8))
    return digest.hexdigest()


def _change(old: dict[str, Any] | None, new: dict[str, Any] | None) -> str:
    if old is None or new is None:
        return "" if old is new else "none before" if old is None else "none now"
    for key in ("images", "classes"):
        if old.get(key) != new.get(key):
            return f"{old.get(key)} -> {new.get(key)} {key}"
    changed = [key for key in ("names", "sizes", "labels") if old.get(key) != new.get(key)]
    return f"other {' and '.join(changed)} than before" if changed else ""
