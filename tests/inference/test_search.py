"""Images of an index that are nearest to others, against distances of all pairs."""

import csv
import json
import sys
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from cplearn_solo.cli import search
from cplearn_solo.code_algebra import bundle
from cplearn_solo.data.sources.written import ABOUT
from cplearn_solo.inference.embed import embed
from cplearn_solo.inference.formats import X, as_column
from cplearn_solo.inference.images import image_files, images_at
from cplearn_solo.inference.pretrained import load_pretrained

faiss = pytest.importorskip("faiss", reason="faiss, of the extra search, is not installed")
from cplearn_solo.inference.search import Index, vectors  # noqa: E402

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def made(cplearn, tmp_path_factory):
    """A run, 40 images, and an index of each kind."""
    folder = tmp_path_factory.mktemp("search")
    (folder / "images").mkdir()
    random = np.random.default_rng(0)
    for i in range(40):
        Image.fromarray(random.integers(256, size=(12, 12, 3), dtype=np.uint8)).save(folder / f"images/{i:02}.png")
    model = load_pretrained(cplearn)
    images = images_at(model, str(folder / "images"))
    for space in ("bits", "backbone"):
        embed(model, images, folder / f"{space}.parquet", space=space, num_workers=0)
    return SimpleNamespace(run=str(cplearn), model=model, folder=folder, images=images)


def all_vectors(made, space):
    table = pq.read_table(made.folder / f"{space}.parquet")
    return np.array(table["representation"].to_pylist())


def test_bits_are_searched_by_hamming_distance(made):
    index, x = Index(made.folder / "bits.parquet"), all_vectors(made, "bits").astype(np.uint8)
    found = index.nearest(x[:7], 5)
    distances = np.unpackbits(x[:7, None] ^ x[None], axis=2).sum(axis=2)
    assert np.array_equal(found.nearness, np.sort(distances)[:, :5])
    assert np.array_equal(np.take_along_axis(distances, found.rows, 1), found.nearness)


def test_other_spaces_are_searched_by_the_cosine_around_the_mean(made):
    index, x = Index(made.folder / "backbone.parquet"), all_vectors(made, "backbone")
    found = index.nearest(x[:7].astype(np.float32), 100)
    centred = x - x.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    cosines = centred[:7] @ centred.T
    assert found.rows.shape == (7, 40)  # all there are
    np.testing.assert_allclose(found.nearness, -np.sort(-cosines), atol=1e-5)
    assert np.array_equal(found.rows[:, 0], np.arange(7))


def test_the_mean_of_many_rows_is_that_of_all(tmp_path):
    x = (np.random.default_rng(0).standard_normal((50_000, 3)) + 1003).astype(np.float32)
    about = {ABOUT: json.dumps({"run": "", "space": "backbone"}).encode()}
    columns = {"file": [""] * len(x), X: as_column(x)}
    pq.write_table(pa.table(columns).replace_schema_metadata(about), tmp_path / "x.parquet")
    one = x[:1]
    (mean,) = Index(tmp_path / "x.parquet").together(one, one)  # around which cosines are taken
    np.testing.assert_allclose(mean, x.mean(axis=0, dtype=np.float64), atol=1e-3)


@pytest.mark.parametrize("space", ["bits", "backbone"])
def test_queries_have_the_rows_that_the_index_has(made, space):
    files = [str(made.folder / f"images/{i:02}.png") for i in (3, 30)]
    x = vectors(made.model, image_files(made.model, files), space)
    np.testing.assert_allclose(x, all_vectors(made, space)[[3, 30]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("keys", [{"background": "black"}, {"range": "auto"}])
def test_queries_are_read_as_the_images_of_the_index_were(keys, made, tmp_path, capsys):
    random = np.random.default_rng(1)
    for i in range(5):
        clear = random.integers(256, size=(12, 12, 4), dtype=np.uint8)
        deep = random.integers(5000, size=(12, 12), dtype=np.uint16)
        Image.fromarray(clear if "background" in keys else deep).save(tmp_path / f"{i}.png")
    index, image = tmp_path / "index.parquet", tmp_path / "3.png"
    embed(made.model, images_at(made.model, str(tmp_path), keys), index, num_workers=0)
    capsys.readouterr()
    search([made.run, str(index), str(image), "--top", "1"])
    assert capsys.readouterr().out.splitlines()[2].split() == ["1", "1.0000", "3.png"]


def test_several_images_as_one_query(made):
    bits, x = Index(made.folder / "bits.parquet"), all_vectors(made, "bits").astype(np.uint8)
    assert np.array_equal(bits.together(x[:2], x[2:3])[0], bundle(np.stack([x[0], x[1], ~x[2]])))
    assert np.array_equal(bits.together(x[:1], x[:0])[0], x[0])
    floats, z = Index(made.folder / "backbone.parquet"), all_vectors(made, "backbone").astype(np.float32)
    centred = z - z.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    for query, way in (
        (floats.together(z[4:5], z[9:10]), centred[4] - centred[9]),
        (floats.together(z[[4, 9]], z[:0]), centred[4] + centred[9]),
    ):
        nearness = np.sort(centred @ way / np.linalg.norm(way))[::-1]
        np.testing.assert_allclose(floats.nearest(query, 40).nearness[0], nearness, atol=1e-5)


def test_bits_that_fill_the_last_byte_are_in_no_distance(tmp_path):
    """Of an embedding of 12, which is two bytes."""
    x = np.packbits(np.random.default_rng(0).integers(2, size=(9, 12), dtype=np.uint8), axis=1)
    about = {ABOUT: json.dumps({"run": "", "space": "bits", "f": 12}).encode()}
    columns = {"file": [""] * len(x), X: as_column(x)}
    pq.write_table(pa.table(columns).replace_schema_metadata(about), tmp_path / "x.parquet")
    index = Index(tmp_path / "x.parquet")
    query = index.together(x[:0], x[:1])  # unlike the first one
    assert not (query & 0b1111)[0, 1] and index.nearest(query, 9).nearness.max() == 12


def test_the_program_finds_an_image_in_its_index(made, capsys):
    image = str(made.folder / "images/07.png")
    search([made.run, str(made.folder / "bits.parquet"), image, "--top", "3"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == image and lines[1].split() == ["rank", "distance", "file"] and len(lines) == 5
    assert lines[2].split() == ["1", "0", "07.png"]


def test_what_is_found_can_be_a_table(made, tmp_path, capsys):
    images = [str(made.folder / f"images/{i:02}.png") for i in (1, 2, 3)]
    out = tmp_path / "found.csv"
    search([made.run, str(made.folder / "backbone.parquet"), *images, "--top", "2", "--out", str(out)])
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["file"] for row in rows[::2]] == ["01.png", "02.png", "03.png"] and rows[0]["cosine"] == "1.0000"
    assert "6 rows, 3 queries in 40 images" in capsys.readouterr().out


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        search([str(argument) for argument in arguments])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_bad_input_is_one_line(made, tmp_path, capsys, checkpoint):
    index, image = made.folder / "bits.parquet", made.folder / "images/00.png"
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "there.csv").write_text("")
    other = checkpoint(max_train_images=100)
    assert "INDEX = " in (line := refused(capsys, made.run, image, image)) and "that cplearn embed wrote" in line
    assert "it is of another run" in refused(capsys, other, index, image)
    assert "QUERY = 'nowhere.png': must be an image file that exists" in refused(capsys, made.run, index, "nowhere.png")
    assert "text.png" in refused(capsys, made.run, index, tmp_path / "text.png")
    assert "--top = 0: must be at least 1" in refused(capsys, made.run, index, image, "--top", 0)
    assert "--without = " in refused(capsys, made.run, index, image, image, "--without", image)
    assert "that one exists already" in refused(capsys, made.run, index, image, "--out", tmp_path / "there.csv")
    with mock.patch.dict(sys.modules, {"faiss": None}):
        assert "pip install 'cplearn-solo[search]'" in refused(capsys, made.run, index, image)
    assert torch.is_grad_enabled()
