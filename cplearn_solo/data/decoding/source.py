"""Where an encoded image comes from, and opening it."""

from __future__ import annotations

import os
from contextlib import suppress
from io import BytesIO
from typing import BinaryIO, NamedTuple

from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.TiffImagePlugin import ImageFileDirectory_v2 as Tags

from cplearn_solo.core.errors import InputError
from cplearn_solo.core.lines import on_a_line
from cplearn_solo.core.numbers import counted
from cplearn_solo.data.decoding.formats import LEFT_OUT
from cplearn_solo.data.decoding.tiff import BITS, SAMPLES

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
POINTER = "a Git LFS pointer in the place of the {}, which `git lfs pull` fetches"
TIFF = (b"II*\0", b"MM\0*")


class EncodedImage(NamedTuple):
    """The bytes of an image file, and where they came from, for error messages."""

    data: bytes
    name: str


Source = str | EncodedImage


def source_name(source: Source) -> str:
    """The path of a file, or where encoded bytes came from, for a line of text."""
    return on_a_line(source.name if isinstance(source, EncodedImage) else as_text(source))


def as_text(name: bytes | str) -> str:
    r"""The name of a file as text that can be stored in UTF-8, whatever its bytes are.

    >>> as_text("ä"), as_text(b"\xe4")
    ('ä', '\\xe4')
    """
    return os.fsencode(name).decode(errors="backslashreplace")


def opened(source: Source) -> ImageFile.ImageFile:
    """The image as Pillow opens it, not decoded yet; ``ValueError`` with the reason if it is no image."""
    try:
        image = Image.open(_encoded(source) if isinstance(source, EncodedImage) else source)
    except UnidentifiedImageError:
        raise ValueError(_what_it_is(source)) from None
    if image.format in LEFT_OUT:
        image.close()
        raise ValueError(f"{image.format} is not read: {LEFT_OUT[image.format]}")
    return image


def _encoded(source: EncodedImage) -> BytesIO:
    return BytesIO(source.data or b"")  # null in some tables


def start_of(source: Source, count: int) -> bytes:
    """The first ``count`` bytes."""
    with _file(source) as file:
        return file.read(count)


def _file(source: Source) -> BinaryIO:
    return _encoded(source) if isinstance(source, EncodedImage) else open(source, "rb")


def require_fetched(path: str | os.PathLike[str]) -> None:
    """Raises ``InputError`` if a Git LFS pointer is in the place of a file; other errors wait until it is read."""
    start = b""
    with suppress(OSError), open(path, "rb") as file:
        start = file.read(len(LFS_POINTER))
    if start == LFS_POINTER:
        raise InputError(f"unreadable file {as_text(os.fspath(path))}: {POINTER.format('file')}")


def _what_it_is(source: Source) -> str:
    """Why Pillow finds no image in ``source``."""
    with _file(source) as file:
        start = file.read(len(LFS_POINTER))
        if not start:
            return "the file is empty"
        if start == LFS_POINTER:
            return POINTER.format("image")
        if not start.startswith(TIFF):
            return "cannot identify image file"
        file.seek(0)
        tags = Tags(file.read(8))
        file.seek(tags.next)
        tags.load(file)
        bands, bits = tags.get(SAMPLES, 1), max(tags.get(BITS, (1,)))
        hint = f"; data.channels={bands} takes them as they are" if bands not in (1, 3) else ""
        return f"a TIFF that Pillow cannot read, {counted(bands, 'band')} of {bits} bits{hint}"
