"""The site of the documents: its generated pages say what is so, it searches without a network, it fits a telephone."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import house
import key_pages
import links
import method_pages
import notebooks
import pytest
import reference_pages
from PIL import Image
from support import chromium, pictures
from support.checkpoints import write_checkpoint
from test_architecture import FLOORS

from cplearn_solo.cli.keys import of_pretraining
from cplearn_solo.methods.catalog import method_facts

ROOT = Path(__file__).parents[1]


def test_floors_of_the_document_are_those_of_the_law():
    assert [set(level) for level in house.floors()] == FLOORS


def test_the_picture_of_the_house_is_up_to_date():
    drawn = house.picture()
    assert drawn == house.PICTURE.read_text(encoding="utf-8"), "python docs/hooks/house.py draws it"


def test_arrows_that_follow_from_others_are_left_out():
    assert house.reduced({("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")}) == {("a", "b"), ("b", "c"), ("d", "c")}


def test_every_method_has_a_page_with_its_idea_loss_and_keys():
    pages = method_pages.pages()
    assert next(iter(pages)) == "methods/cplearn.md"
    for place, text in pages.items():
        name = Path(place).stem
        assert re.search(r"^    L = ", text, re.MULTILINE), f"{name}: its file does not say its loss, as L = ..."
        assert all(f"`method_kwargs.{key}`" in text for key in method_facts(name).arguments)
        assert f"--config-name {name}.yaml" in text
        assert ":func:" not in text and ":class:" not in text


def test_scores_of_a_method_are_those_of_the_table():
    """Over the same seeds: what the page computes from the cells is what the table has written."""
    folder = ROOT / "results/cplearn_table1-digits-mini"
    with (folder / "table.csv").open(encoding="utf-8", newline="") as lines:
        written = {(line["row"], line["score"]): line["ours"] for line in csv.DictReader(lines)}
    rows = method_pages.kept_rows(folder / "cells.jsonl")
    assert len(rows) == 13
    for row, (_, scores) in rows.items():
        for key in ("linear_acc1", "kmeans_ami"):
            mean = sum(scores[key]) / len(scores[key])
            assert mean == pytest.approx(float(written[row, key]), rel=1e-5)


def test_every_key_of_a_pretraining_is_on_the_page_of_keys():
    def flat(values, path=""):
        for key, value in values.items():
            inner = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else value
            place = f"{path}{key}" + (".0" if inner is not value else "")
            yield from flat(inner, f"{place}.") if isinstance(inner, dict) and inner else [place]

    text = key_pages.pages()["keys.md"].partition("## Linear probe")[0]
    keys = set(flat(of_pretraining({"augmentations": [{"num_crops": 2}], "momentum": {}})))
    shown = set(re.findall(r"^\| `([\w.]+)` \|", text, re.MULTILINE))
    assert shown == {key for key in keys if not key.startswith("method_kwargs.")} | {"method_kwargs"}
    for line in (
        "| `optimizer.lr` | number | `0.004` | before",
        "| `backbone.weights` | text, null | `null` | to start",
    ):
        assert line in text


@pytest.mark.parametrize(
    "page, link, place",
    [
        ("results.md", "../results/gpu-h200/gpu.txt", "results/gpu-h200/gpu.txt"),
        ("tutorials/first-run.md", "../export.md", "../export.md"),
        ("tutorials/first-run.md", "new-method.ipynb", "new-method.md"),
        ("CONTRIBUTING.md", "docs/tables.md#a-table-of-your-own", "tables.md#a-table-of-your-own"),
        ("methods/cplearn.md", "../../results/gpu-h200/gpu.txt", "../results/gpu-h200/gpu.txt"),
        ("results.md", "../cplearn_solo/methods/swav.py", "methods/swav.md"),
        ("results.md", "../cplearn_solo/config/schema.py", "keys.md"),
        ("results.md", "https://example.org/a.md", "https://example.org/a.md"),
        ("README.md", "docs/tutorials/first-run.ipynb", "tutorials/first-run.md"),
    ],
)
def test_links_of_the_repository_become_links_of_the_site(page, link, place):
    assert links.rewritten(f"see [this]({link}) and", page) == f"see [this]({place}) and"


def test_a_notebook_becomes_a_page():
    text = notebooks.pages()["tutorials/new-method.md"]
    assert text.startswith("# A method of your own") and "```python\n%%writefile dcl.py\n" in text


def test_the_reference_has_what_the_readme_imports():
    assert set(reference_pages.ROOMS) <= {name for level in FLOORS for name in level}
    assert "::: cplearn_solo.interface.pretrain" in reference_pages.pages()["reference/interface.md"]


@pytest.mark.slow
@pytest.mark.skipif(chromium.PROGRAM is None, reason="needs Chromium")
def test_pictures_of_pages_are_taken(tmp_path):
    pictures.take(write_checkpoint(tmp_path), tmp_path)
    for name, size in {"gallery": (1600, 539), "collapse": (985, 475)}.items():
        picture = Image.open(tmp_path / f"{name}.png")
        assert picture.size == size and len(picture.getcolors()) > 50


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; strict, so that a link to nowhere or a warning is an error."""
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_nothing_is_loaded_from_elsewhere(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(https?://[^"]+)', page.read_text())
        assert loaded == [], page


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(
    "page", ["index.html", "keys.html", "methods/cplearn.html", "reference/losses.html", "faq.html"]
)
def test_pages_fit_their_window(site, browser, page, width):
    browser.open(site / f"{page}.html", width=width, dark=width < 1000)
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.errors == []


def test_search_finds_without_a_server(site, browser):
    browser.open(site / "methods/cplearn.html")
    browser.run("document.querySelector('.md-search__input').focus()")
    for letter in "rademacher":
        browser.press(letter, letter)
    first = "document.querySelector('.md-search-result__link')"
    found = browser.run(f"""new Promise(resolve => {{
        const look = setInterval(() => {first} && resolve({first}.href), 50)
        setTimeout(() => {{ clearInterval(look); resolve("nothing within twenty seconds") }}, 20000)
    }})""")
    assert found.startswith(site.as_uri())
    assert [url for url in browser.requests() if not url.startswith("file:")] == []
