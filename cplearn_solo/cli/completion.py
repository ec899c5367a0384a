"""Completion of commands, configurations and keys in a shell, by argcomplete (the extra ``completion``)."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from typing import Any

from cplearn_solo.core.scripts import config_folder, config_folders
from cplearn_solo.methods.registry import METHODS

# Programs with keys, and the folders below scripts/ of their configurations.
FOLDERS = {
    "pretrain": "pretrain/digits",
    "check": "pretrain/auto",
    "linear": "linear",
    "knn": "knn",
    "clustering": "clustering",
    "detect": "detection",
    "table": "tables",
    "tune": "pretrain/digits",
}


def complete(commands: Iterable[str]) -> None:
    """Answers the completion request that the shell has put into the environment, and ends the program."""
    import argcomplete

    parser = argparse.ArgumentParser()
    programs = parser.add_subparsers()
    for command in commands:
        program = programs.add_parser(command)
        if command in FOLDERS:
            _add(program, _configurations(command), "--config-name", "-cn")
            _add(program, _folders, "--config-path", "-cp")
            for flag in ("--multirun", "-m"):
                program.add_argument(flag, action="store_true")
        keys = _keys(command) if command in FOLDERS else argcomplete.FilesCompleter()
        _add(program, keys, "rest", nargs="*")
    argcomplete.autocomplete(parser, always_complete_options="long")


def _add(program: argparse.ArgumentParser, completer: Any, *names: str, **how: Any) -> None:
    program.add_argument(*names, **how).completer = completer  # type: ignore[attr-defined]


def _configurations(command: str) -> Any:
    def names(parsed_args: argparse.Namespace, **_: Any) -> list[str]:
        folder = config_folder(getattr(parsed_args, "config_path", None) or f"scripts/{FOLDERS[command]}")
        return sorted(path.name for path in folder.glob("*.y*ml")) if folder else []

    return names


def _folders(**_: Any) -> list[str]:
    return config_folders()


def _keys(command: str) -> Any:
    def keys(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
        from cplearn_solo.cli.keys import KEYS

        given = [text for text in parsed_args.rest or () if "=" in text]
        method = next((text.partition("=")[2] for text in given if text.startswith("method=")), "cplearn")
        if re.fullmatch(r"method=\w*", prefix):
            return [f"method={name}" for name in METHODS]
        needed = {"method": method, "augmentations": [{"num_crops": 2}], "momentum": {}}
        raw = needed if command in ("pretrain", "check", "tune") else {}
        return [f"{key}=" for key in _flat(KEYS[command](raw), "")]  # type: ignore[arg-type]

    return keys


def _flat(values: Any, path: str) -> list[str]:
    items = list(enumerate(values)) if isinstance(values, list) and values and isinstance(values[0], dict) else None
    items = list(values.items()) if isinstance(values, dict) and values else items
    return [path] if items is None else [k for key, v in items for k in _flat(v, f"{path}.{key}" if path else str(key))]
