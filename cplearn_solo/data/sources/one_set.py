"""Folders, on a disk or in an archive, that hold more than the images of one set."""

from __future__ import annotations

import posixpath
from collections.abc import Collection

from cplearn_solo.core.errors import require
from cplearn_solo.data.sources.parts import train_and_other

OWN_RUN = {"config.yaml", "figures"}  # in every run folder


def require_one_set(
    key: str, root: object, path: str, names: Collection[str], folders: Collection[str], *, packed: bool = False
) -> None:
    """Raises ``InputError`` for a folder that holds several parts of a data set, or is a run of this program.

    ``path`` is where the folder is, ``names`` are in it, some of them ``folders``. ``packed``: it is in the archive
    ``root``, where no path leads.
    """
    if parts := train_and_other(folders):
        train, other = (posixpath.join(path, name) for name in parts)
        first = "unpack it, and set " if packed else ""
        require(False, key, str(root), f"one part of the data: {first}data.train_path={train} data.val_path={other}")
    what = "an archive" if packed else "a folder"
    then = "pack the images without them" if packed else "move them, and set checkpoint.dir to a folder outside"
    run = path or root
    require(not OWN_RUN.issubset(names), key, str(root), f"{what} without runs, and {run} is one: {then}")
