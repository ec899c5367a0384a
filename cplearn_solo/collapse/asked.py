"""What may be asked of a report, checked before anything is imported that takes long."""

from __future__ import annotations

import os
from pathlib import Path

from cplearn_solo.core.errors import require, unknown
from cplearn_solo.engine.find import find_checkpoint

COMPONENTS = (10, 20, 50, 100, 200, 500, 1000)  # of a Gaussian mixture, as in the paper
ARRAYS = (".npy", ".npz", ".pt", ".pth")  # files that may hold features
STANDARD, RELEASED = "standard", "released"  # protocols


def check_path(path: str) -> None:
    """Raises ``InputError`` for what is neither a run folder nor a checkpoint, and no file of features by its name."""
    require(os.path.exists(path), "RUN", path, "a run folder, a checkpoint or a file of features")
    if os.path.isdir(path) or not path.endswith(ARRAYS):
        find_checkpoint(path)


def check_asked(*, images: int, max_components: int, protocol: str, output: str | None) -> None:
    """Raises ``InputError`` for values that :func:`cplearn_solo.collapse.write_report` cannot have."""
    require(images >= 2, "images", images, "at least 2")
    require(max_components >= COMPONENTS[0], "max_components", max_components, f"at least {COMPONENTS[0]}")
    if protocol not in (STANDARD, RELEASED):
        raise unknown("protocol", protocol, (STANDARD, RELEASED))
    if output is not None:
        check_free(Path(output))


def check_free(folder: Path) -> None:
    """Raises ``InputError`` unless ``folder`` is empty, or can be made."""
    free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    require(free, "output", str(folder), "an empty folder or one that does not exist yet")
    check_writable(folder)


def check_writable(folder: Path) -> None:
    """Raises ``InputError`` unless ``folder``, or where it would be made, can be written to."""
    parent = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    writable = parent.is_dir() and os.access(parent, os.W_OK)
    require(writable, "output", str(folder), f"in a folder that can be written to, {parent} is not")
