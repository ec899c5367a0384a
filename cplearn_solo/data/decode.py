"""Encoded bytes to an image: the one place where files are decoded."""

from __future__ import annotations

from io import BytesIO
from typing import NamedTuple

from PIL import Image

from cplearn_solo.core.errors import InputError

UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what PIL raises for broken images
SKIPPED = 0.01  # share of a set's files that may be unreadable
NAMED = 3  # of them, in a message


class EncodedImage(NamedTuple):
    """The bytes of an image file, and where they came from, for error messages."""

    data: bytes
    name: str


def decode(source: str | EncodedImage) -> Image.Image:
    """The image in RGB; raises ``InputError`` naming the file, or the row, that cannot be decoded."""
    try:
        with Image.open(BytesIO(source.data) if isinstance(source, EncodedImage) else source) as image:
            return image.convert("RGB")
    except UNREADABLE as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"unreadable image {source_name(source)}: {reason}") from error


def source_name(source: str | EncodedImage) -> str:
    """The path of a file, or where encoded bytes came from."""
    return source.name if isinstance(source, EncodedImage) else source
