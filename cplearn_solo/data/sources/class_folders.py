"""Which folders are classes, by the names of the images in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cplearn_solo.core.errors import require

NAMED = 3  # empty class folders, in a message


def classes_among(names: Sequence[str]) -> tuple[bool, str]:
    """Whether a folder of files with these paths has no classes, and the reason in words.

    It has classes if it directly contains two or more folders that together hold most of its images.
    """
    folders = Counter(name.partition("/")[0] for name in names if "/" in name)
    within = sum(folders.values())
    if len(folders) > 1 and 2 * within > len(names):
        return False, f"{len(folders)} class folders"
    if not folders:
        return True, "no class folders"
    return True, f"{within} of {len(names)} images in {len(folders)} folder(s): no class folders"


def outer_folder(names: Sequence[str]) -> str:
    """The folder that is around the class folders of an archive with images of these names, ending in / unless empty.

    That is the innermost one that holds all images, none directly or most of them in two or more folders.

    >>> outer_folder(["a/b/cat/1.png", "a/b/dog/2.png"]), outer_folder(["cat/1.png", "cat/2.png"])
    ('a/b/', '')
    """
    outer = ""
    while True:
        inner = names[0][: names[0].find("/", len(outer)) + 1]
        if not inner or not all(name.startswith(inner) for name in names):
            return outer
        below = [name.removeprefix(inner) for name in names]
        if not all("/" in name for name in below) and classes_among(below)[0]:
            return outer
        outer = inner


def require_filled(empty: Sequence[str], key: str, place: object, what: str) -> None:
    """Raises ``InputError`` that names class folders without images, if ``what`` at ``place`` has some."""
    wanted = f"{what} of class folders with images, and there are none in {', '.join(empty[:NAMED])}"
    require(not empty, key, str(place), wanted)
