"""Checks of a report's arguments, before imports that take long."""

from __future__ import annotations

import os
from pathlib import Path

from cplearn_solo.core.errors import require, require_known
from cplearn_solo.engine.find import find_checkpoint

COMPONENTS = (10, 20, 50, 100, 200, 500, 1000)  # of a Gaussian mixture, as in the paper
ARRAYS = (".npy", ".npz", ".pt", ".pth")  # files that may hold features
TABLES = (".parquet", ".csv")  # files of features that cplearn embed writes and a report does not read
STANDARD, RELEASED = "standard", "released"  # protocols


def check_path(path: str) -> None:
    """Raises ``InputError`` for a path that is no run folder, no checkpoint and, by its name, no file of features."""
    require(os.path.exists(path), "RUN", path, "a run folder, a checkpoint or a file of features")
    wanted = f"a run folder, a checkpoint or features in {', '.join(ARRAYS)}; embed writes .npz, too"
    require(os.path.isdir(path) or not path.endswith(TABLES), "RUN", path, wanted)
    if os.path.isdir(path) or not path.endswith(ARRAYS):
        find_checkpoint(path)


def check_asked(*, images: int, max_components: int, protocol: str, output: str | None) -> None:
    """Raises ``InputError`` for values that :func:`cplearn_solo.collapse.write_report` does not accept."""
    require(images >= 2, "images", images, "at least 2")
    require(max_components >= COMPONENTS[0], "max_components", max_components, f"at least {COMPONENTS[0]}")
    require_known("protocol", protocol, (STANDARD, RELEASED))
    if output is not None:
        check_free(Path(output))


def check_free(folder: Path) -> None:
    """Raises ``InputError`` unless ``folder`` is empty, or can be made."""
    free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    require(free, "output", str(folder), "an empty folder or one that does not exist yet")
    check_writable(folder)


def check_writable(folder: Path) -> None:
    """Raises ``InputError`` unless ``folder``, or the folder in which it would be made, is writable."""
    parent = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    writable = parent.is_dir() and os.access(parent, os.W_OK)
    require(writable, "output", str(folder), f"in a folder that can be written to, {parent} is not")
