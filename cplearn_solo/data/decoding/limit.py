"""The largest image that Pillow opens: one number for the whole process, borrowed while an image is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from PIL import Image

_lock = Lock()
_borrowers: list[int] = []  # limits of the blocks that are open now, in all threads
_own: float | None = None  # Pillow's own limit while there are any

if hasattr(os, "register_at_fork"):  # else a data worker might start with a lock that nobody opens
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


@contextmanager
def pixel_limit(max_pixels: int) -> Iterator[None]:
    """In this block Pillow raises ``DecompressionBombError`` for images of more pixels, after it as it did before.

    While several threads are in such blocks, the highest of their limits holds.
    """
    _change(_borrowers.append, max_pixels)
    try:
        yield
    finally:
        _change(_borrowers.remove, max_pixels)


def _change(change: Callable[[int], None], max_pixels: int) -> None:
    global _own
    with _lock:
        if not _borrowers:
            _own = Image.MAX_IMAGE_PIXELS
        change(max_pixels)
        # Pillow warns of more than its limit, and refuses more than twice as many.
        Image.MAX_IMAGE_PIXELS = max(_borrowers) / 2 if _borrowers else _own
