"""Packages whose names are imported when they are used: a check of a configuration need not wait for PyTorch."""

from __future__ import annotations

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any


def lazy_imports(file: str) -> tuple[Callable[[str], Any], list[str]]:
    """``__getattr__`` and ``__all__`` of the package whose ``__init__`` is ``file``.

    They offer the imports in its ``if TYPE_CHECKING:`` block, which type checkers read and Python skips.
    """
    block = next(node for node in ast.parse(Path(file).read_text(encoding="utf-8")).body if isinstance(node, ast.If))
    imports = (node for node in block.body if isinstance(node, ast.ImportFrom))
    places = {alias.name: str(node.module) for node in imports for alias in node.names}

    def __getattr__(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module has no attribute {name!r}")
        return getattr(import_module(places[name]), name)

    return __getattr__, sorted(places)
