"""Commands as people type them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable


def typed(words: Iterable[str]) -> str:
    """The words of a command, quoted where a shell needs it.

    >>> print(typed(["cplearn", "table", "rows=['CPLearn (10)']", "label=my images"]))
    cplearn table "rows=['CPLearn (10)']" 'label=my images'
    >>> print(typed(["data.train_path=it's new!"]))  # between double quotes bash looks for an earlier command after !
    'data.train_path=it'"'"'s new!'
    """
    quoted = (f'"{word}"' if "'" in word and not set(word) & set('"$`\\!') else shlex.quote(word) for word in words)
    return " ".join(quoted)
