"""DINO's main script: found in a checkout, checked for the names that the host needs, and run."""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from cplearn_solo.core.errors import InputError

# names that substitutes.py replaces
IN_SCRIPT = ("DINOHead", "DINOLoss", "train_dino", "train_one_epoch")
IN_UTILS = (
    "MultiCropWrapper",
    "cancel_gradients_last_layer",
    "fix_random_seeds",
    "has_batchnorms",
    "restart_from_checkpoint",
    "save_on_master",
)
USED = ("get_args_parser", "DataAugmentationDINO", "vits", "datasets.ImageFolder", "utils.init_distributed_mode")
USED += (*IN_SCRIPT, *(f"utils.{name}" for name in IN_UTILS))
WANTED = "must be main_dino.py in a checkout of https://github.com/facebookresearch/dino"


def run(script: str, method: str, method_kwargs: Mapping[str, Any], device: str, arguments: list[str]) -> None:
    """Runs DINO's ``script`` on its own ``arguments`` with ``method`` in place of its head, loss and teacher."""
    path = find(script)

    from cplearn_solo.hosts.dino.substitutes import install  # this import takes seconds

    sys.path.insert(0, str(path.parent))
    main = import_module(path.stem)
    install(main, method, method_kwargs, device)
    args = argparse.ArgumentParser(path.name, parents=[main.get_args_parser()]).parse_args(arguments)
    Path(args.output_dir).mkdir(parents=True, exist_ok=True)
    main.train_dino(args)


def find(script: str) -> Path:
    """DINO's main script at a path, or in a checkout; ``InputError`` if a name that the host needs is missing."""
    path = Path(script).resolve()
    path = path / "main_dino.py" if path.is_dir() else path
    if not path.is_file():
        raise InputError(f"{script}: {WANTED}; looked for {path.name}, which is not there")
    try:
        used = {ast.unparse(node) for node in _nodes(path) if isinstance(node, (ast.Name, ast.Attribute))}
        defined = {f"utils.{getattr(node, 'name', None)}" for node in _nodes(path.with_name("utils.py"))}
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{script}: {WANTED}, and cannot be read: {error}") from error
    for name in USED:
        if name not in used or (name.startswith("utils.") and name not in defined):
            raise InputError(f"{script}: {WANTED}; looked for {name}, which is not there")
    return path


def _nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_bytes())))
