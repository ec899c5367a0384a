"""Templates: what they make of text, and of a name that is missing."""

import pytest
from jinja2 import UndefinedError

from cplearn_solo.pages import render
from cplearn_solo.tables.sheet import Block, Column, Sheet

SHEET = Sheet(
    "<t>", [Block("a & b", ["<row>"], [Column("<ours>", ["1 < 2"], frozenset({0}))])], ["'note'"], ["<failed>"]
)


def test_text_is_escaped_and_images_are_inside():
    page = render("table.html", title=SHEET.title, sheet=SHEET, images=[b"png"])
    for text in ("<title>&lt;t&gt;</title>", "<h2>a &amp; b</h2>", "<td>&lt;row&gt;</td>", "&lt;failed&gt;"):
        assert text in page
    assert "<td><strong>1 &lt; 2</strong></td>" in page and "&#39;note&#39;" in page
    assert 'src="data:image/png;base64,cG5n"' in page
    assert page.startswith("<!doctype html>") and page.endswith("</html>\n")


def test_names_of_other_bytes_are_text():
    page = render("table.html", title="photos\udcff", sheet=SHEET, images=[])
    assert r"<title>photos\xff</title>" in page and page.encode()


def test_a_name_that_is_missing_is_an_error():
    with pytest.raises(UndefinedError, match="'sheet' is undefined"):
        render("table.html", title="", images=[])
