"""What a gallery is made of: what a model sees, codes, a map, thumbnails, labels."""

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from support.images import noise_images, write_images, write_parquet

from cplearn_solo.core.errors import InputError
from cplearn_solo.gallery import sheets as sheeting
from cplearn_solo.gallery.codes import by_code
from cplearn_solo.gallery.plane import plane
from cplearn_solo.gallery.seen import Seen, see
from cplearn_solo.gallery.sheets import COLUMNS, MOST_BYTES, SIDE, sheets, thumbnails
from cplearn_solo.gallery.write import SHOWN
from cplearn_solo.inference.features import extract
from cplearn_solo.inference.images import labelled_images_at

HOW = {"batch_size": 8, "num_workers": 0, "device": "cpu", "seed": 0, "progress": lambda done, total: None}


def test_what_is_seen_is_what_extract_gives(model, folder):
    images = labelled_images_at(model, str(folder))
    whole = extract(model.backbone, model.method, images, crop_size=model.config.augmentations[0].crop_size)
    (folder / "cat/03.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="1 of 40 images could not be read"):
        seen = see(model, labelled_images_at(model, str(folder)), **HOW, most=12)
    readable = [i for i in range(40) if i != 3]
    assert len(seen) == 39 and seen.unreadable == 1
    assert seen.codes.tolist() == whole.codes[readable].tolist()
    assert seen.labels.tolist() == [0] * 19 + [1] * 20
    assert 11 <= len(seen.rows) <= 12 and seen.rows.tolist() == [readable[i] for i in seen.kept]
    torch.testing.assert_close(seen.features, whole.x[seen.rows], rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        p = model.method(whole.x[readable]).softmax(dim=1).max(dim=1).values
    torch.testing.assert_close(seen.confidence, p, rtol=1e-3, atol=1e-5)


def seen_of(codes, confidence, labels, kept=None):
    codes = torch.tensor(codes)
    kept = torch.arange(len(codes)) if kept is None else torch.tensor(kept)
    return Seen(codes, torch.tensor(confidence), torch.tensor(labels), kept, kept, torch.zeros(len(kept), 1), 0)


def test_codes_come_by_size_with_their_purity_and_images_from_sure_to_unsure():
    codes = [5, 2, 5, 5, 9, 5, 2, 5]
    seen = seen_of(codes, [0.9, 0.5, 0.3, 0.7, 0.2, 0.1, 0.6, 0.8], [1, 0, 1, -1, -1, 3, 0, 1])
    first, second, third = by_code(seen, most=9, images=3)
    assert (first.number, first.size, first.share, first.label, first.purity) == (5, 5, 5 / 8, 1, 3 / 4)
    assert first.rows == [0, 3, 5]  # the most sure, one between, the least sure
    assert (second.number, second.rows, second.purity) == (2, [6, 1], 1)
    assert (third.number, third.label, third.purity) == (9, None, None)
    assert [code.number for code in by_code(seen, most=1, images=3)] == [5]


def test_sizes_are_of_all_images_and_rows_of_those_that_are_kept():
    seen = seen_of([1, 1, 1, 4], [0.1, 0.9, 0.5, 0.3], [0, 0, 1, 1], kept=[0, 2])
    one, four = by_code(seen, most=9, images=10)
    assert (one.size, one.purity, one.rows) == (3, 2 / 3, [1, 0]) and (four.size, four.rows) == (1, [])


def test_thumbnails_are_where_the_page_looks_for_them(model, tmp_path):
    colours = noise_images(COLUMNS**2 + 40, 1, 1)
    files = sheets(colours.expand(-1, -1, SIDE, SIDE))
    pictures = [np.asarray(Image.open(io.BytesIO(file))) for file in files]
    assert [picture.shape for picture in pictures] == [
        (COLUMNS * SIDE, COLUMNS * SIDE, 3),
        (2 * SIDE, COLUMNS * SIDE, 3),
    ]
    for i in (0, 1, COLUMNS, COLUMNS**2 - 1, COLUMNS**2 + 39):
        y, x = i // COLUMNS % COLUMNS * SIDE, i % COLUMNS * SIDE
        cell = pictures[i // COLUMNS**2][y : y + SIDE, x : x + SIDE].astype(float)
        inside = cell[1:-1, 1:-1]  # a decoder smooths colours at the edge
        assert np.abs(inside - colours[i, :, 0, 0].numpy()).max() < 6, i


def test_what_is_too_large_is_compressed_more(monkeypatch):
    noise = noise_images(64, SIDE, SIDE)
    (best,) = sheets(noise)
    monkeypatch.setattr(sheeting, "MOST_BYTES", len(best) // 2)
    (smaller,) = sheets(noise)
    assert len(best) / 8 < len(smaller) <= len(best) / 2


@pytest.mark.slow
def test_sheets_of_as_many_images_of_noise_as_a_page_shows_are_within_the_limit():
    assert sum(map(len, sheets(noise_images(SHOWN, SIDE, SIDE)))) <= MOST_BYTES


@pytest.mark.parametrize("bands", [1, 2, 3, 5])
def test_images_of_any_bands_have_thumbnails(bands, monkeypatch):
    batch = torch.arange(bands, dtype=torch.uint8)[None, :, None, None].expand(2, -1, 96, 96)
    monkeypatch.setattr(sheeting, "eval_loader", lambda *args, **kwargs: [(None, batch, None)])
    found = thumbnails(None, 0)
    assert found.shape == (2, 3, SIDE, SIDE)
    assert found[0, :, 0, 0].tolist() == ([0, 1, 2] if bands >= 3 else [0, 0, 0])


def test_a_map_keeps_what_is_near_and_needs_some_images():
    x = torch.cat([torch.eye(8)[:2].repeat_interleave(15, 0)]) + 0.01 * torch.randn(30, 8)
    found = plane(x, seed=0)
    assert found.method == "t-SNE" and found.points.min() == 0 and found.points.max() == 1
    apart = np.linalg.norm(found.points[:15].mean(0) - found.points[15:].mean(0))
    assert apart > 3 * found.points[:15].std()
    with pytest.raises(InputError, match="at least 10 samples, got 9"):
        plane(x[:9], seed=0)


def test_umap_is_taken_where_it_is_installed(monkeypatch):
    class UMAP:
        def __init__(self, **settings):
            assert settings == {"n_neighbors": 11, "random_state": 3, "n_jobs": 1}

        def fit_transform(self, x):
            return x[:, :2]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=UMAP))
    x = torch.rand(12, 4)
    found = plane(x, seed=3)
    spans = np.ptp(x[:, :2].numpy(), axis=0)
    assert found.method == "UMAP"
    np.testing.assert_allclose(np.ptp(found.points, axis=0), spans / spans.max(), rtol=1e-5)


def test_labels_are_those_of_the_source_or_the_names_of_folders(model, folder, tmp_path):
    images = labelled_images_at(model, str(folder))
    assert images.classes == ("cat", "dog") and images.labels.tolist() == [0] * 20 + [1] * 20
    write_images(folder, ["loose.png"])
    assert labelled_images_at(model, str(folder)).labels.tolist() == [0] * 20 + [1] * 20 + [-1]
    write_images(tmp_path / "flat", ["b.png", "a.png"])
    assert labelled_images_at(model, str(tmp_path / "flat")).labels.tolist() == [-1, -1]
    table = write_parquet(tmp_path / "some.parquet", noise_images(3, 9, 9), [2, 0, 1], ["x", "y", "z"])
    images = labelled_images_at(model, table)
    assert images.labels.tolist() == [2, 0, 1] and images.classes == ("x", "y", "z")
    bare = write_parquet(tmp_path / "bare.parquet", noise_images(3, 9, 9), None)
    assert labelled_images_at(model, bare).labels.tolist() == [-1] * 3
