"""Files and folders that programs are asked to write."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from cplearn_solo.core.errors import require, require_known
from cplearn_solo.engine.find import EXPORTS

SPACES = ("backbone", "projector", "bits")  # of representations
PREDICTIONS = (".csv", ".parquet")  # endings of files for the classes of images
PAGES = (".html",)  # of a gallery
LONGEST = 200  # bytes of a name: temporary files and files beside it have longer names
NEEDED = ("onnx", "onnxscript", "onnxruntime")  # packages for .onnx


def new_file(key: str, given: str | Path, endings: Iterable[str], default: str = "") -> Path:
    """``given``, with the ending ``default`` if it has none.

    Raises ``InputError``, which names ``key``, unless it is a new file in a folder and has one of ``endings``.
    """
    path = Path(given)
    a_name = path.name not in ("", "..") and not str(given).endswith(("/", os.sep))
    require(a_name, key, str(given), "the name of a file")
    path = path if path.suffix else path.with_name(f"{path.name}{default}")
    require(path.suffix in endings, key, str(given), f"a file that ends in {', '.join(endings)}")
    _require_room(key, given, path)
    return path


def check_asked(space: str, half: bool) -> None:
    """Raises ``InputError`` for an unknown ``space``, and for ``half`` with bits."""
    require_known("space", space, SPACES)
    require(not half or space != "bits", "half", half, "left out where space is bits")


def new_export(given: str | Path) -> tuple[Path, str]:
    """A new file and its ending, one of ``EXPORTS``; or a new folder and "", if ``given`` ends in / or has no ending.

    Raises ``InputError`` for others, and for .onnx where packages are missing.
    """
    path = Path(given)
    ending = "" if str(given).endswith(("/", os.sep)) else path.suffix
    wanted = f"a file that ends in {', '.join(EXPORTS)}, or a folder, which ends in / or has no ending"
    require(ending in ("", *EXPORTS), "OUT", str(given), wanted)
    _require_room("OUT", given, path)
    lacking = [name for name in NEEDED if ending == ".onnx" and find_spec(name) is None]
    wanted = f"of another ending, or pip install 'cplearn-solo[onnx]': there is no {' and no '.join(lacking)}"
    require(not lacking, "OUT", str(given), wanted)
    return path, ending


def require_new(key: str, *files: Path) -> None:
    """Raises ``InputError`` if one of ``files`` exists."""
    for file in files:
        require(not file.exists(), key, str(file), "a new file, that one exists already")


def _require_room(key: str, given: str | Path, path: Path) -> None:
    require(path.parent.is_dir(), key, str(given), f"in a folder, there is no folder {path.parent}")
    writable = os.access(path.parent, os.W_OK)
    require(writable, key, str(given), f"in a folder that can be written to, {path.parent} is not")
    require(len(os.fsencode(path.name)) <= LONGEST, key, str(given), f"a name of at most {LONGEST} bytes")
    require_new(key, path)
