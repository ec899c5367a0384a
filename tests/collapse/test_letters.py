"""Names in figures whose letters matplotlib's own font lacks; a warning of a missing letter is an error here."""

from dataclasses import replace

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cplearn_solo.collapse import letters
from cplearn_solo.collapse.figures import PLOTS, draw
from cplearn_solo.collapse.style import as_written, legends_below, panel_title, panels, png

CAT, DOG, CHILD = "猫", "狗", "아이"


@pytest.fixture(autouse=True)
def no_font_known():
    letters._fonts_with.cache_clear()
    yield
    letters._fonts_with.cache_clear()


@pytest.fixture
def fonts(tmp_path, monkeypatch):
    """The fonts of the system: the one that is called with letters has these, and is the only one."""
    (tmp_path / "damaged.ttf").write_bytes(b"no font")
    monkeypatch.setattr(letters, "findSystemFonts", lambda: list(map(str, tmp_path.glob("*.ttf"))))

    def has(written):
        pen = TTGlyphPen(None)
        pen.moveTo((0, 0)), pen.lineTo((0, 700)), pen.lineTo((700, 0)), pen.closePath()
        font = FontBuilder(1000, isTTF=True)
        font.setupGlyphOrder([".notdef", "triangle"])
        font.setupCharacterMap(dict.fromkeys(map(ord, written), "triangle"))
        font.setupGlyf({".notdef": pen.glyph(), "triangle": pen.glyph()})
        font.setupHorizontalMetrics(dict.fromkeys((".notdef", "triangle"), (1000, 0)))
        font.setupHorizontalHeader(ascent=800, descent=-200)
        font.setupNameTable({"familyName": f"Test {written}", "styleName": "Regular"})
        font.setupOS2(sTypoAscender=800, sTypoDescender=-200)
        font.setupPost()
        font.save(tmp_path / "other.ttf")

    return has


def drawn(*names):
    figure, axes = panels(1, 1)
    panel_title(axes[0, 0], names[0])
    legends_below(figure, {axes[0, 0]: [Line2D([], [], label=as_written(name)) for name in names[1:]]})
    return png(figure), [text.get_text() for text in (axes[0, 0].title, *figure.legends[0].get_texts())]


def test_letters_come_from_a_font_that_has_them(fonts):
    fonts(CAT + DOG)
    (_, numbers), texts = drawn("cat", CAT, f"{DOG} 2")
    assert numbers == {} and texts == ["cat", CAT, f"{DOG} 2"]


def test_words_without_a_font_are_numbers_with_a_key(fonts):
    fonts(CAT)
    (_, numbers), texts = drawn(f"{CAT} {DOG}", f"{CHILD} {CHILD}: 3 of 8", DOG)
    assert texts == [f"{CAT} [1]", "[2]: 3 of 8", "[1]"]
    assert numbers == {"[1]": DOG, "[2]": f"{CHILD} {CHILD}"}


def test_a_system_without_fonts_says_what_it_could_not_write(fonts):
    class Compared:
        protocol = None

    plot = replace(PLOTS[0], about="What to see.", draw=lambda comparison: titled(DOG))
    assert draw(plot, Compared).about == f"What to see. No font here has the letters of [1] {DOG}."


def titled(name):
    figure = Figure()
    figure.subplots().set_title(name)
    return figure


def test_scripts_of_matplotlibs_own_font_need_no_other(monkeypatch):
    monkeypatch.setattr(letters, "findSystemFonts", lambda: pytest.fail("asked for"))
    assert drawn("Ζώο", "зверь", "قطة", "ä")[0][1] == {}


def test_dollars_in_names_begin_no_formula(fonts):
    _, texts = drawn(r"$\none$", "5 $ or 6 $")
    assert texts == [r"\$\none\$", r"5 \$ or 6 \$"]
