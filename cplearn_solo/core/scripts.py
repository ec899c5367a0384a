"""The configurations that come with the program."""

from __future__ import annotations

import re
from pathlib import Path

PACKAGED = Path(__file__).parents[1] / "scripts"  # in an installed copy
SCRIPTS = PACKAGED if PACKAGED.is_dir() else Path(__file__).parents[2] / "scripts"  # in the repository


PARTS = "parts"  # folders of parts that the configurations beside them share


def config_folders() -> list[str]:
    """Names of the bundled folders of configurations, as ``scripts/pretrain/digits``."""
    folders = {path.parent for path in SCRIPTS.glob("*/**/*.yaml")}
    return sorted(str(folder.relative_to(SCRIPTS.parent)) for folder in folders if folder.name != PARTS)


def config_folder(given: str) -> Path | None:
    """The folder ``given``, or else the same below the bundled ``scripts/``; ``None`` if neither exists."""
    bundled = SCRIPTS / re.sub(r"^\.?/?scripts/", "", given)
    return next((path.resolve() for path in (Path(given), bundled) if path.is_dir()), None)
