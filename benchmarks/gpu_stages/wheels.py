"""Packages that a machine without a network lacks, from a folder of wheels. Needs nothing but Python."""

from __future__ import annotations

import re
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOW = "docs/devices.md says how to fill it"


class Refused(Exception):
    """Wrong input, in one line."""


def unpacked(wheels: Path, site: Path) -> Path:
    """``site`` with the contents of those wheels whose package is not there already.

    Raises :class:`Refused` where there are none, or one is of another Python.
    """
    found = sorted(wheels.glob("*.whl"))
    if not found:
        raise Refused(f"wheels = {wheels}: must be a folder of wheels; {HOW}")
    for wheel in found:
        name, _, *_, python, abi, _platform = wheel.stem.split("-")
        if not _fits(python, abi):
            raise Refused(
                f"wheels = {wheels}: {wheel.name} is for Python {python}, this is {sys.version_info[0]}."
                f"{sys.version_info[1]}; make the folder with a Python of this version"
            )
        if not is_there(name):
            zipfile.ZipFile(wheel).extractall(site)
    return site


def missing() -> list[str]:
    """Packages that ``setup.py`` asks for and that are not on this Python's path."""
    text = (ROOT / "setup.py").read_text()
    required = re.findall(r'"([\w.-]+)[<>=]', text[text.index("install_requires") : text.index("extras_require")])
    return [name for name in [*required, "antlr4-python3-runtime", "pytest"] if not is_there(name)]


def is_there(name: str) -> bool:
    try:
        distribution(name)
        return True
    except PackageNotFoundError:
        return False


def _fits(python: str, abi: str) -> bool:
    major, minor = sys.version_info[:2]
    ours = {f"py{major}", f"py{major}{minor}", f"cp{major}{minor}"}
    return bool(ours & set(python.split("."))) or (abi == "abi3" and python.startswith(f"cp{major}"))
