"""The Python reference: a page for each room; mkdocstrings reads the docstrings of its files."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "cplearn_solo"
ROOMS = {  # rooms for users of the library; the others are internal
    "interface": "pretrain and Run",
    "testing": "Tests of a method",
    "methods": "Methods",
    "losses": "Losses",
    "objective": "CPLearn's objective",
    "dictionary": "Dictionary",
    "code_algebra": "Algebra of codes",
    "metrics": "Metrics",
    "backbones": "Backbones",
    "data": "Data",
    "inference": "Trained models",
    "evaluation": "Evaluation",
    "engine": "Training",
    "core": "Common ground",
}


def pages() -> dict[str, str]:
    """The pages as Markdown, by their places on the site."""
    return {f"reference/{room}.md": page(room, title) for room, title in ROOMS.items()}


def page(room: str, title: str) -> str:
    """A page with an entry for each file of a room that has a public docstring."""
    files = [PACKAGE / f"{room}.py"] if (PACKAGE / f"{room}.py").is_file() else sorted((PACKAGE / room).rglob("*.py"))
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files if _documents(path)]
    return "\n\n".join([f"# {title}", *(f"::: {module}" for module in modules)]) + "\n"


def _documents(path: Path) -> bool:
    if path.name == "__init__.py":
        return False
    body = ast.parse(path.read_text(encoding="utf-8")).body
    public = (node for node in body if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name[0] != "_")
    return any(ast.get_docstring(node) for node in public)
