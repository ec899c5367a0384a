"""Extracts the answer from a solution as GSM8K and MATH do, and compares two answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
SAID = re.compile(r"(?:####|the answer is:?)\s*(.+)", re.IGNORECASE)  # GSM8K's mark, and MetaMath's words
# LaTeX that is removed, and LaTeX that is replaced by another form (Hendrycks et al., 2021).
NOTHING = (r"\!", r"\,", r"\left", r"\right", r"\$", "$", r"\%", "%", r"^{\circ}", r"^\circ", " ")
FORMS = (("dfrac", "frac"), ("tfrac", "frac"))


def gsm8k(text: str) -> str | None:
    """The number behind the last #### or "The answer is", else the last number; ``None`` if there is none.

    >>> [gsm8k(text) for text in ("2 * 3 = 6 so\\n#### 1,006", "The answer is: $7.50.", "4 and 5", "none")]
    ['1006', '7.5', '5', None]
    """
    said = SAID.findall(text)
    found = NUMBER.findall(said[-1])[:1] if said else NUMBER.findall(text)[-1:]
    return _plain(found[0]) if found else None


def math(text: str) -> str | None:
    r"""The content of the last \boxed{}, else the text after the last "The answer is"; ``None`` if there is neither.

    >>> math(r"so $\boxed{\dfrac{1}{2}}$."), math("The answer is: x^2 + 1."), math("1")
    ('\\frac{1}{2}', 'x^2+1', None)
    """
    boxed = _boxed(text)
    if boxed is None:
        said = SAID.findall(text)
        if not said:
            return None
        boxed = said[-1]
    for mark in NOTHING:
        boxed = boxed.replace(mark, "")
    for written, form in FORMS:
        boxed = boxed.replace(written, form)
    boxed = re.sub(r"\\text\{[^{}]*\}$", "", boxed).strip().rstrip(".")  # a unit
    return _plain(boxed) if NUMBER.fullmatch(boxed) else boxed


BENCHMARKS: dict[str, Callable[[str], str | None]] = {"gsm8k": gsm8k, "math": math}


def exact_match(given: list[str], right: list[str], benchmark: str) -> float:
    """Share of solutions with the right solution's answer, from 0 to 1."""
    read = BENCHMARKS[benchmark]
    return sum(read(one) is not None and read(one) == read(other) for one, other in zip(given, right)) / len(right)


def _boxed(text: str) -> str | None:
    """The text between the braces of the last \\boxed; ``None`` if they do not close."""
    start = text.rfind(r"\boxed{")
    depth, begin = 0, start + len(r"\boxed{")
    for place in range(begin - 1, len(text) if start >= 0 else 0):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[begin:place]
    return None


def _plain(number: str) -> str:
    """A number in a normal form: no commas, no zeros at the end of decimals."""
    try:
        value = Decimal(number.replace(",", ""))
    except InvalidOperation:
        return number
    return f"{value.normalize():f}"
