"""Where a page goes. A mistake there is told before anything is imported that takes long."""

from __future__ import annotations

import os
from pathlib import Path

from cplearn_solo.core.errors import require


def check_page(out: str | Path) -> Path:
    """``out``; raises ``InputError`` unless it is a new .html file in a folder."""
    path = Path(out)
    require(path.suffix == ".html", "OUT", str(out), "a file that ends in .html")
    require(path.parent.is_dir(), "OUT", str(out), f"in a folder, there is no folder {path.parent}")
    require(
        os.access(path.parent, os.W_OK), "OUT", str(out), f"in a folder that can be written to, {path.parent} is not"
    )
    require(not path.exists(), "OUT", str(out), "a new file, that one exists already")
    return path
