"""Floors: a module imports only from lower floors and from its own room."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "cplearn_solo"
FLOORS = {
    "precision": 0, "registry": 0, "distributed": 0, "matrix": 0,
    "dictionary": 1, "losses": 1, "metrics": 1, "kernels": 1,
    "methods": 2, "backbones": 2, "data": 2,
    "config": 3, "difference": 3, "engine": 3,
    "evaluation": 4,
    "testing": 4,
    "hosts": 5,
    "tables": 5,
    "cli": 6,
}  # fmt: skip
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room(parts):
    return parts[0].removesuffix(".py")


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("cplearn_solo."))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path):
    own = room(path.relative_to(PACKAGE).parts)
    for other in imported_rooms(path):
        # of two rooms on a floor one may build on the other: configurations are the third's entrance, and kernels
        # compute what losses define
        same_floor = (own, other) in {("engine", "config"), ("engine", "difference"), ("kernels", "losses")}
        assert other == own or FLOORS[other] < FLOORS[own] or same_floor, f"{own} imports {other}"


def test_every_room_has_a_floor():
    assert {room(p.relative_to(PACKAGE).parts) for p in FILES} <= set(FLOORS)


def test_a_violation_would_be_seen(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text("from cplearn_solo.cli import main\n")
    assert list(imported_rooms(bad)) == ["cli"]
