"""Arguments of classes, read from their source text, because importing them would take seconds."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Argument:
    """A keyword of ``__init__``: the source text of its annotation and of its default; ``None`` without one."""

    annotation: str | None
    default: str | None


@dataclass(frozen=True)
class ClassText:
    """A class as its source defines it; ``attributes``: the source text of their values, by name."""

    name: str
    docstring: str
    bases: list[str]
    decorators: list[str]
    attributes: dict[str, str]
    arguments: list[str]  # names in its own __init__, in order
    keyword_only: dict[str, Argument]  # its keyword-only arguments
    takes_more: bool  # whether it has *args or **kwargs


@cache
def read_classes(path: Path) -> dict[str, ClassText]:
    """The classes of a file by name."""
    return {node.name: _class(node) for node in _tree(path).body if isinstance(node, ast.ClassDef)}


def registered_classes(path: Path, registry: str) -> dict[str, ClassText]:
    """The classes of a file by the names under which ``@registry.register("name")`` adds them."""
    decorator = re.compile(rf"{registry}\.register\('(\w+)'\)")
    return {
        match.group(1): text
        for text in read_classes(path).values()
        for match in map(decorator.fullmatch, text.decorators)
        if match
    }


def module_docstring(path: Path) -> str:
    """The docstring of a file; empty if it has none."""
    return ast.get_docstring(_tree(path)) or ""


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _class(node: ast.ClassDef) -> ClassText:
    attributes = {}
    for item in node.body:
        if isinstance(item, (ast.Assign, ast.AnnAssign)) and item.value:
            target = item.targets[0] if isinstance(item, ast.Assign) else item.target
            attributes[ast.unparse(target)] = ast.unparse(item.value)
    init = next((item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None)
    keyword_only = zip(init.args.kwonlyargs, init.args.kw_defaults) if init else ()
    return ClassText(
        name=node.name,
        docstring=ast.get_docstring(node) or "",
        bases=[ast.unparse(base) for base in node.bases],
        decorators=[ast.unparse(decorator) for decorator in node.decorator_list],
        attributes=attributes,
        arguments=[argument.arg for argument in (*init.args.args, *init.args.kwonlyargs)] if init else [],
        keyword_only={
            argument.arg: Argument(
                None if argument.annotation is None else ast.unparse(argument.annotation),
                None if default is None else ast.unparse(default),
            )
            for argument, default in keyword_only
        },
        takes_more=bool(init and (init.args.vararg or init.args.kwarg)),
    )
