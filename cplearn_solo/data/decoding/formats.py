"""Which files are images: those that the installed Pillow reads, and reads correctly."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache

from PIL import Image, ImageFile

with suppress(ImportError):  # reads .heic, the photographs of iPhones, where it is installed
    import pillow_heif

    pillow_heif.register_heif_opener()

# Formats that Pillow opens, and why they are not read.
LEFT_OUT = {
    "EPS": "PostScript is a program, which Ghostscript would have to run",
    "FITS": "Pillow does not read the scale of its values",
    "MPEG": "films are not read",
    "XBM": "Pillow reads black as white",
}


def is_image_name(name: str) -> bool:
    """Whether a file of that name or path is read as an image: by its extension, in any case, unless hidden."""
    return not os.path.basename(name).startswith(".") and os.path.splitext(name)[1].lower() in _extensions()


@cache
def _extensions() -> frozenset[str]:
    known = Image.registered_extensions()
    return frozenset(extension for extension, name in known.items() if name not in LEFT_OUT and _has_reader(name))


def _has_reader(name: str) -> bool:
    """Whether Pillow has more than a stub, which knows the format but cannot read it."""
    reader = Image.OPEN.get(name, (None,))[0]
    return reader is not None and not (isinstance(reader, type) and issubclass(reader, ImageFile.StubImageFile))
