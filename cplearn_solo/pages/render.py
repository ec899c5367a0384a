"""Pages that need no other file: style, script and images are inside of them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).with_name("templates")


def render(template: str, **values: Any) -> str:
    """The page of a file in ``templates/``; text in ``values`` is escaped, and a name that is missing is an error.

    Templates have the filters ``png`` and ``jpeg``, which turn the bytes of a file into what ``src`` takes, and
    ``pixels``, the width of a PNG file.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # when a page is written, not for --help

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"png": _address_of("png"), "jpeg": _address_of("jpeg"), "pixels": _pixels}
    page = environment.get_template(template).render(values) + "\n"
    return page.encode(errors="surrogateescape").decode(errors="backslashreplace")  # names may not be UTF-8


def _address_of(kind: str) -> Any:
    return lambda content: f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _pixels(png: bytes) -> int:
    return int.from_bytes(png[16:20], "big")  # the file's header
