"""Tables and the collapse report in Chromium, on a desktop and a phone, light and dark."""

from pathlib import Path

import pytest
import torch
from support.images import noise_images

from cplearn_solo.collapse.comparison import Comparison
from cplearn_solo.collapse.figures import PLOTS, Drawn
from cplearn_solo.collapse.groups import by_themselves
from cplearn_solo.collapse.page import report_page
from cplearn_solo.collapse.pictures import pictures
from cplearn_solo.collapse.protocols import PROTOCOLS
from cplearn_solo.collapse.subject import Subject
from cplearn_solo.core.files import write_file
from cplearn_solo.data.image_set import MemorySet
from cplearn_solo.metrics.verdict import collapse_verdict
from cplearn_solo.pages import render
from cplearn_solo.tables.sheet import Sheet

pytestmark = pytest.mark.integration

RESULTS = Path(__file__).parents[2] / "results"
SIZES = [(390, False), (390, True), (1280, False)]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The page of a healthy and a collapsed subject with long names, and some figures."""
    h, codes = torch.randn(60, 4, generator=torch.Generator().manual_seed(0)), torch.arange(60) % 3
    seen = {"codes": codes, "confidence": torch.rand(60), "places": torch.arange(60)}
    seen["images"] = MemorySet(noise_images(60, 9, 9), codes, 3)
    subjects = [Subject((name,), Path("long" * 40), "60 rows", h, **seen) for name in ("one", "other" * 20)]
    groups, names = by_themselves(subjects)
    verdicts = [collapse_verdict(h, h, codes), collapse_verdict(h, h, 0 * codes)]
    comparison = Comparison(subjects, names, groups, verdicts, [], {}, [], PROTOCOLS["standard"], 0)
    picture = (RESULTS / "cplearn_table9-digits-mini/digits.png").read_bytes()
    drawn = [Drawn(plot, picture if i % 2 else None, reason="why" * 50) for i, plot in enumerate(PLOTS)]
    images = pictures(comparison.examples, seed=0)
    return write_file(tmp_path_factory.mktemp("report") / "index.html", report_page(comparison, drawn, images))


@pytest.mark.parametrize("kind", ["table", "report"])
@pytest.mark.parametrize("width, dark", SIZES)
def test_nothing_sticks_out_and_nothing_is_complained_about(width, dark, kind, report, browser):
    browser.open(
        report if kind == "report" else RESULTS / "cplearn_table9-digits-mini/table.html",
        width=width,
        height=844,
        dark=dark,
    )
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("[...document.images].every((one) => one.complete && one.naturalWidth > 0)")
    assert browser.errors == [] and browser.requests() == []


@pytest.mark.parametrize(
    "of, scrolls", [("cplearn_table9-digits-mini/digits", False), ("cplearn_fig5-parquet-mini/cifar10", True)]
)
def test_a_figure_on_a_phone_can_be_read_and_only_one_of_several_panels_scrolls(of, scrolls, browser, tmp_path):
    sheet = Sheet("t", [], [], [])
    page = render("table.html", title="t", sheet=sheet, images=[(RESULTS / f"{of}.png").read_bytes()])
    browser.open(write_file(tmp_path / "t.html", page), width=390)
    assert browser.run("document.images[0].clientWidth / document.images[0].naturalWidth") > 0.42
    assert browser.run("document.images[0].clientWidth > document.images[0].parentElement.clientWidth") is scrolls
    assert browser.run("document.documentElement.scrollWidth") <= 390


def test_thumbnails_of_the_report_are_in_rows_of_ten_or_five(browser, report):
    for width, in_a_row in ((1280, 10), (390, 5)):
        browser.open(report, width=width)
        tops = "[...document.querySelector('.strip').children].map((one) => one.offsetTop)"
        found = browser.run(tops)
        assert len(found) == 10 and found.count(found[0]) == in_a_row


def test_a_collapse_is_red_and_names_its_limit(browser, report):
    browser.open(report)
    banners = "[...document.querySelectorAll('.banner strong')]"
    assert browser.run(f"{banners}.map((one) => one.innerText)") == ["Healthy", "Cluster collapse"]
    assert browser.run(f"new Set({banners}.map((one) => getComputedStyle(one).color)).size") == 2
    bars = "[...document.querySelectorAll('.card:last-child .track div')].map((one) => one.className)"
    assert browser.run(bars) == ["good", "bad", "bad", "good", "good"]
