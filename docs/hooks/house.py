"""Draws ``docs/house.svg``: rooms on their floors, and their imports; run it after a new import between rooms.

Floors are those of the table in ``docs/architecture.md``; arrows are the imports of the source. An arrow that follows
from others is left out, because too many arrows would hide the rest.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE, PAGE, PICTURE = ROOT / "cplearn_solo", ROOT / "docs/architecture.md", ROOT / "docs/house.svg"
WIDTH, STEP, HEIGHT, LEFT = 760, 76, 32, 24  # of the picture, between floors, of a box, left of the boxes

STYLE = """
  text { font: 14px system-ui, sans-serif; fill: #1c2333; }
  .room { text-anchor: middle; }
  .floor { fill: #8a90a0; }
  rect { fill: #eef1f8; stroke: #5b6b95; }
  path { fill: none; stroke: #9aa3b8; }
  marker path { fill: #9aa3b8; stroke: none; }
  @media (prefers-color-scheme: dark) {
    text { fill: #dfe3ee; }
    rect { fill: #232a3b; stroke: #8fa0cf; }
    path { stroke: #66708a; }
    marker path { fill: #66708a; }
  }
"""
HEAD = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8z"/></marker></defs>'
)


def floors() -> list[list[str]]:
    """Rooms by floor, from the lowest, as in the table of the page."""
    found: dict[int, list[str]] = {}
    for number, rooms in re.findall(r"^\| (\d+) \| (.+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        names = re.findall(r"`(\w+)(?:\.py|/)`", rooms)
        found.setdefault(int(number), []).extend(names)
    return [found[number] for number in sorted(found)]


def imported_rooms(source: str) -> Iterator[str]:
    """Names of the rooms that a file imports, with repetitions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("cplearn_solo."))


def imports(rooms: list[str]) -> set[tuple[str, str]]:
    """Pairs of different rooms in which the first imports the second."""
    files = {room: [PACKAGE / f"{room}.py", *(PACKAGE / room).rglob("*.py")] for room in rooms}
    return {
        (room, other)
        for room, paths in files.items()
        for path in paths
        if path.is_file()
        for other in imported_rooms(path.read_text(encoding="utf-8"))
        if other != room and other in files
    }


def reduced(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Arrows without those that follow from others."""
    reach: dict[str, set[str]] = {}

    def below(room: str) -> set[str]:
        if room not in reach:
            direct = {b for a, b in arrows if a == room}
            reach[room] = direct.union(*map(below, direct))
        return reach[room]

    return {(a, b) for a, b in arrows if not any(b in below(c) for d, c in arrows if d == a and c != b)}


def places(levels: list[list[str]], arrows: set[tuple[str, str]]) -> dict[str, tuple[float, float]]:
    """Centres of boxes; on each floor, rooms are sorted by the mean place of the rooms that they import."""
    found: dict[str, tuple[float, float]] = {}
    for floor, level in enumerate(levels):

        def wish(room: str) -> float:
            below = [found[b][0] for a, b in arrows if a == room and b in found]
            return sum(below) / len(below) if below else WIDTH

        for place, room in enumerate(sorted(level, key=wish)):
            x = LEFT + (WIDTH - LEFT) * (place + 0.5) / len(level)
            found[room] = (x, STEP * (len(levels) - floor - 0.5))
    return found


def picture() -> str:
    """The picture as SVG."""
    levels = floors()
    arrows = reduced(imports([room for level in levels for room in level]))
    centres = places(levels, arrows)
    parts = ["<title>Rooms of the package by floor; an arrow points at what a room imports</title>"]
    parts += [f"<style>{STYLE}</style>", HEAD]
    parts += [_arrow(centres[a], centres[b]) for a, b in sorted(arrows)]
    parts += [_box(room, *centres[room]) for room in sorted(centres)]
    for floor in range(len(levels)):
        parts.append(f'<text class="floor" x="4" y="{STEP * (len(levels) - floor - 0.5) + 5:g}">{floor}</text>')
    size = f'viewBox="0 0 {WIDTH} {STEP * len(levels)}"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">', *parts, "</svg>\n"])


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = start, end
    y1, y2 = y1 + HEIGHT / 2, y2 - HEIGHT / 2 - 1
    bend = min(60, (y2 - y1) / 2)
    return f'<path marker-end="url(#head)" d="M{x1:g} {y1:g}C{x1:g} {y1 + bend:g} {x2:g} {y2 - bend:g} {x2:g} {y2:g}"/>'


def _box(room: str, x: float, y: float) -> str:
    width = 9 * len(room) + 20
    box = f'<rect x="{x - width / 2:g}" y="{y - HEIGHT / 2:g}" width="{width}" height="{HEIGHT}" rx="6"/>'
    return f'{box}<text class="room" x="{x:g}" y="{y + 5:g}">{room}</text>'


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
