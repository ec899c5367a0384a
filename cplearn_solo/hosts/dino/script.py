"""DINO's main script: found, checked, run, and as a patch of two lines."""

from __future__ import annotations

import argparse
import ast
import difflib
import re
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from cplearn_solo.core.errors import InputError
from cplearn_solo.hosts.dino.substitutes import IN_SCRIPT, IN_UTILS, install

USED = ("get_args_parser", "DataAugmentationDINO", "vits", "datasets.ImageFolder", "utils.init_distributed_mode")
USED += (*IN_SCRIPT, *(f"utils.{name}" for name in IN_UTILS))
SOURCE = "the main_dino.py of https://github.com/facebookresearch/dino is needed, in a checkout of it"
ENTRY = re.compile(r"if __name__ == ['\"]__main__['\"]:\s*")
HOOK = ("from cplearn_solo.cli.dino import patched", "patched(sys.modules[__name__])")


def run(script: str, method: str, method_kwargs: Mapping[str, Any], device: str, arguments: list[str]) -> None:
    """Runs DINO's ``script`` on its own ``arguments`` with ``method`` in the place of its head, loss and teacher."""
    path = find(script)
    sys.path.insert(0, str(path.parent))
    main = import_module(path.stem)
    install(main, method, method_kwargs, device)
    args = argparse.ArgumentParser(path.name, parents=[main.get_args_parser()]).parse_args(arguments)
    Path(args.output_dir).mkdir(parents=True, exist_ok=True)
    main.train_dino(args)


def write_patch(file: str, script: str) -> None:
    """Writes what ``git apply`` takes in the checkout: two lines by which ``script`` does the same by itself."""
    path, target = find(script), Path(file)
    if target.exists():
        raise InputError(f"{file} is there already")
    with path.open(encoding="utf-8", newline="\n") as lines:
        before = list(lines)
    start = next((i for i, line in enumerate(before) if ENTRY.fullmatch(line)), len(before))
    if start + 1 >= len(before):
        raise InputError(f"{path}: looked for if __name__ == '__main__': and what it runs; {SOURCE}")
    if HOOK[0] in before[start + 1]:
        raise InputError(f"{path} is patched already")
    indent = re.match(r"[ \t]*", before[start + 1]).group()
    end = before[start][len(before[start].rstrip()) :]
    after = [*before[: start + 1], *(f"{indent}{line}{end}" for line in HOOK), *before[start + 1 :]]
    diff = difflib.unified_diff(before, after, f"a/{path.name}", f"b/{path.name}")
    whole = (line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in diff)
    target.write_bytes("".join(whole).encode())


def find(script: str) -> Path:
    """DINO's main script at a path, or in a checkout; ``InputError`` where a name that the host needs is not there."""
    path = Path(script).resolve()
    path = path / "main_dino.py" if path.is_dir() else path
    if not path.is_file():
        raise InputError(f"{script}: looked for {path.name}, which is not there; {SOURCE}")
    try:
        used = {ast.unparse(node) for node in _nodes(path) if isinstance(node, (ast.Name, ast.Attribute))}
        defined = {f"utils.{getattr(node, 'name', None)}" for node in _nodes(path.with_name("utils.py"))}
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{script} cannot be read ({error}); {SOURCE}") from error
    for name in USED:
        if name not in used or (name.startswith("utils.") and name not in defined):
            raise InputError(f"{script}: looked for {name}, which is not there; {SOURCE}")
    return path


def _nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_bytes())))
