"""Files that programs are asked to write."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cplearn_solo.core.errors import require

PREDICTIONS = (".csv", ".parquet")  # endings of what classes of images can be written to


def new_file(key: str, given: str | Path, endings: Iterable[str], default: str = "") -> Path:
    """``given``, with the ending ``default`` if it has none.

    Raises ``InputError``, which names ``key``, unless it is a new file in a folder and has one of ``endings``.
    """
    path = Path(given)
    path = path if path.suffix else path.with_name(f"{path.name}{default}")
    require(path.suffix in endings, key, str(given), f"a file that ends in {', '.join(endings)}")
    require(path.parent.is_dir(), key, str(given), f"in a folder, there is no folder {path.parent}")
    require_new(key, path)
    return path


def require_new(key: str, *files: Path) -> None:
    """Raises ``InputError`` if one of them is there."""
    for file in files:
        require(not file.exists(), key, str(file), "a new file, that one exists already")
