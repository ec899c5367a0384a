"""Where a page goes. A mistake there is told before anything is imported that takes long."""

from __future__ import annotations

from pathlib import Path

from cplearn_solo.inference.targets import new_file


def check_page(out: str | Path) -> Path:
    """``out``; raises ``InputError`` unless it is a new .html file in a folder."""
    return new_file("OUT", out, [".html"])
