"""Floors: a file imports only from lower floors and from its own room, and names no higher one in a string."""

import ast
import re
from pathlib import Path

import pytest
from house import imported_rooms

PACKAGE = Path(__file__).parents[1] / "cplearn_solo"
FLOORS = [
    {"core", "pages"},
    {"dictionary", "code_algebra", "losses", "metrics"},
    {"objective"},
    {"methods", "backbones", "data"},
    {"album", "config"},
    {"engine", "jobs"},
    {"auto", "inference", "hosts"},
    {"evaluation", "detection", "testing"},
    {"collapse", "gallery", "tables", "tuning"},
    {"interface"},
    {"cli"},
]
OLD_NAMES = {"registry", "distributed", "precision", "kernels"}  # kept for one release; nothing here imports them
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def named_rooms(source):
    """Rooms that a file imports, or names in a string that is no docstring."""
    yield from imported_rooms(source)
    nodes = list(ast.walk(ast.parse(source)))
    documented = (node for node in nodes if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)))
    docstrings = {id(node.body[0].value) for node in documented if ast.get_docstring(node) is not None}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield from re.findall(r"cplearn_solo\.(\w+)", node.value)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_arrows_go_down(path):
    own = room(path)
    if own in OLD_NAMES:
        return
    for other in named_rooms(path.read_text()):
        assert other == own or FLOOR.get(other, 99) < FLOOR[own], f"{own} names {other}"


def test_every_room_has_a_floor():
    assert {room(path) for path in FILES} <= {*FLOOR, *OLD_NAMES}


def test_one_place_opens_images():
    """Elsewhere, files that are damaged or too large would end programs in tracebacks."""
    opening = re.compile(r"\bImage\.open\(|decoding\.source import .*\bopened\b")
    places = {path.parent.relative_to(PACKAGE).as_posix() for path in FILES if opening.search(path.read_text())}
    assert places == {"data/decoding"}


@pytest.mark.parametrize(
    "source",
    ["from cplearn_solo.cli import main", "import cplearn_solo.cli.main", "load('run cplearn_solo.cli.main')"],
)
def test_a_violation_would_be_seen(source):
    assert list(named_rooms(source)) == ["cli"]
