"""Numbers as people read them."""

from __future__ import annotations


def counted(count: int, thing: str) -> str:
    """``count`` of a thing whose plural has an s.

    >>> counted(1, "epoch"), counted(50, "epoch")
    ('1 epoch', '50 epochs')
    """
    return f"{count} {thing}{'' if count == 1 else 's'}"


def digits(value: float, count: int) -> str:
    """``value`` with ``count`` digits, or with all digits before the decimal point if these are more.

    >>> digits(0.123456, 4), digits(16383.6, 4), digits(999.7, 3)
    ('0.1235', '16384', '1000')
    """
    return f"{value:.{count}g}" if abs(value) < 10**count - 0.5 else f"{value:.0f}"
