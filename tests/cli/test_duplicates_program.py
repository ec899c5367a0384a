"""``cplearn duplicates`` as a user types it, on images of which some are there twice."""

import csv
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from support.images import write_parquet

from cplearn_solo.album import neighbours
from cplearn_solo.album.neighbours import near_duplicates

pytestmark = pytest.mark.integration


@pytest.fixture
def images(tmp_path):
    """20 of noise, two copies of one and one of another, and a file that is no image."""
    folder, random = tmp_path / "images", np.random.default_rng(0)
    folder.mkdir()
    for i in range(20):
        Image.fromarray(random.integers(256, size=(8, 8, 3), dtype=np.uint8)).save(folder / f"{i:02}.png")
    for source, copy in (("03", "copy"), ("03", "another"), ("11", "twin")):
        shutil.copy(folder / f"{source}.png", folder / f"{copy}.png")
    (folder / "broken.png").write_text("no image")
    return folder


def test_copies_are_groups(model, here, images):
    code, out, error = here("duplicates", model, "images", "--num-workers", "0")
    assert code == 0, error
    groups = {frozenset(group.split("\0")) for group in out.replace("\n  ", "\0").splitlines()[:-2]}
    assert groups == {frozenset({"03.png", "copy.png", "another.png"}), frozenset({"11.png", "twin.png"})}
    assert re.search(
        r"2 groups of near-duplicates with 5 of 23 images, at most \S+ apart\n1 of 24 images could not be read\n", out
    )


def test_a_name_stays_on_its_line(model, here, images):
    (images / "twin.png").rename(images / "twin\n\x1b.png")
    code, out, error = here("duplicates", model, "images", "--num-workers", "0")
    assert code == 0 and "\n  twin\\n\\x1b.png\n" in out, (out, error)


def test_groups_can_be_a_table(model, here, images, tmp_path):
    code, out, error = here("duplicates", model, "images", "--num-workers", "0", "--out", "groups.csv")
    rows = list(csv.DictReader((tmp_path / "groups.csv").read_text().splitlines()))
    assert code == 0 and out.startswith("groups.csv: 2 groups"), error
    assert sorted(row["file"] for row in rows) == ["03.png", "11.png", "another.png", "copy.png", "twin.png"]
    code, _, error = here("duplicates", model, "images", "--out", "groups.csv")
    assert code == 2 and error.endswith("--out = 'groups.csv': must be a new file, that one exists already\n")


def test_a_table_of_images_is_not_held_in_memory(model, here, images, tmp_path, monkeypatch):
    content = [file.read_bytes() for file in sorted(images.glob("[!b]*.png"))]
    write_parquet(tmp_path / "images.parquet", content, None)
    monkeypatch.setattr("cplearn_solo.data.sources.parquet._read", lambda *_: pytest.fail("all was read at once"))
    code, out, error = here("duplicates", model, "images.parquet", "--num-workers", "0")
    assert code == 0 and "2 groups of near-duplicates with 5 of 23 images" in out, error


def test_a_table_that_came_meanwhile_is_kept(model, here, images, tmp_path, monkeypatch):
    def meanwhile(*given):
        (tmp_path / "groups.csv").write_text("mine")
        return near_duplicates(*given)

    monkeypatch.setattr(neighbours, "near_duplicates", meanwhile)
    code, _, error = here("duplicates", model, "images", "--num-workers", "0", "--out", "groups.csv")
    assert code == 2 and error.endswith("--out = 'groups.csv': must be a new file, that one exists already\n")
    assert (tmp_path / "groups.csv").read_text() == "mine"


def test_images_without_copies_are_no_group(model, here, images):
    for name in ("copy", "another", "twin", "broken"):
        (images / f"{name}.png").unlink()
    code, out, error = here("duplicates", model, "images", "--num-workers", "0")
    told = re.fullmatch(r"0 groups of near-duplicates with 0 of 20 images, at most (\S+) apart\n", out)
    assert code == 0 and 0 < float(told[1]) < 0.1, error
