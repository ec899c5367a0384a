"""A gallery's page: what it holds, whatever the images are."""

import json
import re
from dataclasses import replace

import pytest
import torch
from support.images import noise_images, write_images, write_parquet

from cplearn_solo.album.sheets import SIDE, sheets
from cplearn_solo.core.errors import InputError
from cplearn_solo.data import DATASETS, DataConfig
from cplearn_solo.gallery import write
from cplearn_solo.gallery.write import write_gallery
from cplearn_solo.inference.images import images_at, labelled_images_at


def made(model, where, out, **settings):
    """The gallery, its page's text and the data of its script."""
    found = write_gallery(model, labelled_images_at(model, str(where)), out, num_workers=0, **settings)
    text = out.read_text()
    return found, text, json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_a_page_needs_nothing_else(model, folder, tmp_path):
    found, text, data = made(model, folder, tmp_path / "page.html", title="<i>&")
    assert (found.images, found.shown, found.unreadable) == (40, 40, 0)
    assert not re.search(r'(src|href)="(?!#)', text) and not re.search(r"url\((?!data:)|@import|https?:", text)
    assert "<h1>&lt;i&gt;&amp;</h1>" in text and "<i>&" not in text
    assert data["names"][0] == "cat/00.png" and data["classes"] == ["cat"] * 20 + ["dog"] * 20
    assert len(data["points"]) == len(data["neighbours"]) == len(data["codes"]) == 40
    assert text.count('<article class="code"') == len({*data["codes"]})
    largest = max({*data["codes"]}, key=data["codes"].count)
    assert text.index(f'id="code-{largest}"') == text.index('id="code-')
    assert f"{data['codes'].count(largest)} images" in text and "of class cat" in text


def test_the_same_seed_is_the_same_page_and_sizes_are_of_all(model, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "SHOWN", 25)
    for section in ("OF_CODE", "ODD", "OF_GROUP"):
        monkeypatch.setattr(write, section, 1)
    pages = [made(model, folder, tmp_path / f"{i}.html", seed=seed) for i, seed in enumerate((0, 0, 1))]
    assert pages[0][1] == pages[1][1] and pages[0][2]["names"] != pages[2][2]["names"]
    found, text, data = pages[0]
    assert (found.images, found.shown) == (40, 25) and "This page shows 25 of the images" in text
    assert sum(int(size) for size in re.findall(r"(\d+) images?, \d+&nbsp;% of class", text)) == 40


def test_images_without_names_have_the_numbers_that_they_have_among_all(model, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "SHOWN", 60)
    for section in ("OF_CODE", "ODD", "OF_GROUP"):
        monkeypatch.setattr(write, section, 1)
    _, _, data = made(model, "digits", tmp_path / "page.html")
    numbers = [int(name) for name in data["names"]]
    labels = labelled_images_at(model, "digits").labels[numbers]
    assert numbers[-1] > len(numbers) >= 60 and numbers == sorted(numbers)
    assert data["classes"] == [str(label) for label in labels.tolist()]


def test_images_of_a_table_that_are_read_in_order_are_the_same_page(model, tmp_path):
    """Thumbnails, neighbours and classes, of a choice among them."""
    table = write_parquet(tmp_path / "some.parquet", noise_images(30, 9, 9), [0, 1, 2] * 10, ["x", "y", "z"])
    held = DATASETS["parquet"](DataConfig(dataset="parquet", train_path=table), False)[0]
    found = labelled_images_at(model, table)
    texts = []
    for images in (found, replace(found, sources=held.sources)):
        page = write_gallery(model, images, tmp_path / f"{len(texts)}.html", num_workers=0).page
        texts.append(page.read_text())
    assert texts[0] == texts[1] and "of class y" in texts[0]


def test_names_are_text(model, tmp_path):
    names = [f'</script><b onclick="x">\'&{{{{ 1 }}}}{i}.png' for i in range(3)]
    write_images(tmp_path / "images", [name.replace("/", "_") for name in names])
    _, text, data = made(model, tmp_path / "images", tmp_path / "page.html")
    assert data["names"][0] == names[0].replace("/", "_")
    assert text.count("</script>") == 2 and "<b onclick" not in text


def test_a_method_without_codes_says_so(without_codes, folder, tmp_path):
    _, text, data = made(without_codes, folder, tmp_path / "page.html")
    assert "simclr has no codes." in text and data["codes"] is data["confidence"] is None
    assert 'href="#codes">Codes' not in text and "<article" not in text


@pytest.mark.parametrize("n", [1, 2, 9])
def test_few_images_have_no_map(n, model, tmp_path):
    write_images(tmp_path / "images", [f"{i}.png" for i in range(n)])
    found, text, data = made(model, tmp_path / "images", tmp_path / "page.html")
    assert found.shown == n and f"No map: t-SNE needs at least 10 samples, got {n}." in text and data["points"] is None
    assert data["classes"] is None and "of class" not in text


def test_images_that_cannot_be_read_are_counted(model, folder, tmp_path):
    (folder / "cat/05.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match="could not be read"):
        found, text, data = made(model, folder, tmp_path / "page.html")
    assert (found.images, found.unreadable) == (39, 1) and "1 other image could not be read" in text
    assert "cat/05.png" not in data["names"] and data["names"][5] == "cat/06.png"


def test_images_in_memory_have_numbers_for_names(model, tmp_path):
    images = images_at(model, "digits").subset(torch.arange(30))
    write_gallery(model, images, tmp_path / "page.html", num_workers=0)
    assert '"names": ["0", "1", ' in (tmp_path / "page.html").read_text()


def test_a_failure_leaves_nothing_behind(model, folder, tmp_path, monkeypatch):
    def fails(*_):
        raise InputError("no page")

    monkeypatch.setattr(write, "gallery_page", fails)
    with pytest.raises(InputError, match="no page"):
        made(model, folder, tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


@pytest.mark.slow
def test_sheets_of_as_many_images_of_noise_as_a_page_shows_are_within_the_limit():
    assert sum(map(len, sheets(noise_images(write.SHOWN, SIDE, SIDE), write.MOST_BYTES))) <= write.MOST_BYTES
