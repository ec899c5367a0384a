"""Installs missing packages from a folder of wheels on a machine without a network. Needs only Python."""

from __future__ import annotations

import re
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOW = "docs/devices.md says how to fill it"


class Refused(Exception):
    """Invalid input; the message is one line."""


def unpacked(wheels: Path, site: Path) -> Path:
    """Unpacks the wheels of packages that are not installed into ``site``, and returns it.

    Raises :class:`Refused` if there are no wheels, or if one is for another Python.
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
    """Packages that ``setup.py`` requires and that this Python does not find."""
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
