"""The colour behind transparent pixels."""

from __future__ import annotations

from contextlib import suppress

from PIL import ImageColor

from cplearn_solo.core.errors import require


def background_of(name: str) -> tuple[int, int, int]:
    """The RGB values of ``data.background``; ``InputError`` for an unknown colour."""
    colour = (256, 256, 256)  # none, like rgb(300, 0, 0), which Pillow takes
    with suppress(ValueError):
        colour = ImageColor.getrgb(name)[:3]
    require(max(colour) < 256, "data.background", name, "the name of a colour, or '#rrggbb'")
    return colour
