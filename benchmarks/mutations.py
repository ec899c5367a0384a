"""Small mistakes in a source file, one at a time: in an operator, number, condition, name or call."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

OPERATORS = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult},
    **{ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd},
    **{ast.LShift: ast.RShift, ast.RShift: ast.LShift},
}
NAMES = {"min": "max", "amin": "amax", "argmin": "argmax", "any": "all", "sum": "mean", "floor": "ceil"}
NAMES |= {"zeros": "ones", "zeros_like": "ones_like"}
NAMES |= {name: other for other, name in NAMES.items()}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Mutant(NamedTuple):
    """The file ``path`` with the content ``tree``; ``function``: the one that is changed, empty outside of any."""

    path: Path
    line: int
    function: str
    change: str
    name: str
    tree: ast.Module


def mutants(path: Path, root: Path) -> Iterator[Mutant]:
    """Every mutant of a file. A tree is valid only until the next mutant is drawn."""
    source = path.read_text()
    tree, lines, seen = ast.parse(source), source.splitlines(), Counter()
    for parent, field, position, node, line, function in list(_places(tree, 1, "")):
        for new in _instead(node, field):
            shown = parent if isinstance(node, (ast.operator, ast.cmpop, ast.boolop)) else node
            before = ast.unparse(shown)
            _put(parent, field, position, new)
            change = f"{before} -> {ast.unparse(new if shown is node else parent)}"
            name = f"{path.relative_to(root)} | {function} | {lines[line - 1].strip()} | {change}"
            seen[name] += 1
            yield Mutant(path, line, function, change, f"{name} | {seen[name]}", ast.fix_missing_locations(tree))
            _put(parent, field, position, node)


def _put(parent: ast.AST, field: str, position: int | None, node: ast.AST) -> None:
    if position is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[position] = node


def _places(parent: ast.AST, line: int, function: str) -> Iterator[tuple[ast.AST, str, Any, ast.AST, int, str]]:
    """Each node with its place in its parent, line and innermost function, without those that tests need not cover."""
    for field, value in ast.iter_fields(parent):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for position, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(node, ast.AST) or _left_out(node):
                continue
            at = getattr(node, "lineno", line)
            yield parent, field, position, node, at, function
            yield from _places(node, at, node.name if isinstance(node, FUNCTIONS) else function)


def _left_out(node: ast.AST) -> bool:
    """Whether it raises, formats a text, is for type checkers only, or is a kernel, which Triton reads in the file."""
    match node:
        case ast.Raise() | ast.JoinedStr() | ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.FunctionDef(decorator_list=[*_, decorator]):
            return ast.unparse(decorator).startswith("triton.jit")
    return False


def _instead(node: ast.AST, field: str) -> Iterator[ast.AST]:
    """Nodes that a mistake could put in the place of ``node``."""
    if type(node) in OPERATORS:
        yield OPERATORS[type(node)]()
    if field in ("test", "ifs"):
        yield ast.UnaryOp(ast.Not(), node)
    match node:
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))
        case ast.Constant(value=float(value)):
            yield from (ast.Constant(value * 1.1 if value else 1.0), ast.Constant(value / 1.1 if value else -1.0))
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.Name(id=name, ctx=ast.Load()) if name in NAMES:
            yield ast.Name(NAMES[name], ast.Load())
        case ast.Attribute(attr=name, ctx=ast.Load()) if name in NAMES:
            yield ast.Attribute(node.value, NAMES[name], ast.Load())
        case ast.keyword(arg="min" | "max"):
            yield ast.keyword(NAMES[node.arg], node.value)
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()
