"""Reads what this program wrote into a folder; a person, or a disk, may have changed it since."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from cplearn_solo.core.errors import InputError, reason_of


def read_json(file: Path) -> dict[str, Any]:
    """The entries of a JSON file; empty if there is no such file. Raises ``InputError`` for a damaged one."""
    return _entries(file, json.loads) if file.is_file() else {}


def read_yaml(file: Path) -> dict[str, Any]:
    """The entries of a YAML file. Raises ``InputError`` if it is damaged or missing."""
    return _entries(file, yaml.safe_load)


def _entries(file: Path, parse: Callable[[str], Any]) -> dict[str, Any]:
    try:
        found = parse(file.read_text(encoding="utf-8"))
    except (ValueError, OSError, yaml.YAMLError) as error:
        raise InputError(f"{file} is damaged: {reason_of(error)}") from error
    if not isinstance(found, dict):
        raise InputError(f"{file} is damaged: it has no keys")
    return found
