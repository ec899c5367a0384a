"""Letters of all scripts in figures: matplotlib's font has only Latin, Greek, Cyrillic, Arabic and Hebrew ones."""

from __future__ import annotations

import re
from functools import cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, findSystemFonts, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

NO_FONT = "LastResort"  # has a box for every letter


def find_letters(figure: Figure) -> dict[str, str]:
    """Sets other fonts of the system for letters that matplotlib's font lacks.

    Words that no font has become ``[1]``, ``[2]``, ...; returns the words by these numbers.
    """
    texts, own = figure.findobj(Text), FT2Font(findfont(FontProperties()))
    lacking = {letter for text in texts for letter in text.get_text() if letter.isprintable() and not _has(own, letter)}
    if not lacking:
        return {}
    families, without = _fonts_with(frozenset(lacking))
    some = "".join(map(re.escape, sorted(without)))
    words, numbers = re.compile(f"[{some}]+(?:[ _-]+[{some}]+)*") if without else None, dict[str, str]()
    for text in texts:
        text.set_fontfamily([*text.get_fontfamily(), *families])
        if words:
            text.set_text(words.sub(lambda word: numbers.setdefault(word[0], f"[{len(numbers) + 1}]"), text.get_text()))
    return {number: word for word, number in numbers.items()}


@cache
def _fonts_with(letters: frozenset[str]) -> tuple[list[str], set[str]]:
    """Font families that together have as many of the letters as possible, and the letters that no font has."""
    having: dict[str, set[str]] = {}
    upright = {}
    for path in sorted(findSystemFonts()):
        try:
            font = FT2Font(path)
        except (RuntimeError, OSError):  # a font that FreeType cannot read, or that may not be read
            continue
        found = {letter for letter in letters if _has(font, letter)}
        if found and font.scalable and NO_FONT not in font.family_name.replace(" ", ""):
            having[path], upright[path] = found, not font.style_flags
    families, without = [], set(letters)
    while best := max(having, key=lambda path: (len(having[path] & without), upright[path]), default=None):
        if not having[best] & without:
            break
        without -= having.pop(best)
        fontManager.addfont(best)  # matplotlib does not know fonts installed after its search
        families.append(FT2Font(best).family_name)
    return families, without


def _has(font: FT2Font, letter: str) -> bool:
    return font.get_char_index(ord(letter)) != 0
