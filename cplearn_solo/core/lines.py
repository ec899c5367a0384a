"""Text that stays on its line."""

from __future__ import annotations

import re

_BREAKING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def on_a_line(text: str) -> str:
    r"""``text`` with escapes for what would break a line or steer a terminal, as names of files may hold it.

    >>> print(on_a_line("one\ntwo\x1b[31m ä"))
    one\ntwo\x1b[31m ä
    """
    return _BREAKING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
