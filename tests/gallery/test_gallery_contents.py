"""What a gallery is made of: what a model sees, a map, labels."""

import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.images import noise_images, write_images, write_parquet

from cplearn_solo.core.errors import InputError
from cplearn_solo.data.sources.in_order import RowsInOrder
from cplearn_solo.gallery.plane import plane
from cplearn_solo.gallery.see import see
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


def test_a_map_keeps_what_is_near_and_needs_some_images():
    noise = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    x = torch.eye(8)[:2].repeat_interleave(15, 0) + 0.01 * noise
    found = plane(x, seed=0)
    low, high = found.points.min(axis=0), found.points.max(axis=0)
    assert found.method == "t-SNE" and max(high - low) == pytest.approx(1)
    np.testing.assert_allclose((low + high) / 2, 0.5, rtol=1e-5)  # also along the narrower side
    apart = np.linalg.norm(found.points[:15].mean(0) - found.points[15:].mean(0))
    assert apart > 3 * found.points[:15].std(axis=0).max()
    with pytest.raises(InputError, match="at least 10 samples, got 9"):
        plane(x[:9], seed=0)
    for same in (torch.zeros(30, 8), torch.full((30, 8), 0.3), 1e-30 * torch.randn(30, 8)):  # of a network that is dead
        with pytest.raises(InputError, match="samples that differ, and all 30 are the same"):
            plane(same, seed=0)


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


def test_labels_are_those_of_the_source_or_the_names_of_folders(model, folder, tmp_path, monkeypatch):
    images = labelled_images_at(model, str(folder))
    assert images.classes == ("cat", "dog") and images.labels.tolist() == [0] * 20 + [1] * 20
    write_images(folder, ["loose.png"])
    monkeypatch.setenv("HOME", str(tmp_path))
    for where in (str(folder), "~/images"):
        assert labelled_images_at(model, where).labels.tolist() == [0] * 20 + [1] * 20 + [-1]
    write_images(tmp_path / "flat", ["b.png", "a.png"])
    assert labelled_images_at(model, str(tmp_path / "flat")).labels.tolist() == [-1, -1]
    table = write_parquet(tmp_path / "some.parquet", noise_images(3, 9, 9), [2, 0, 1], ["x", "y", "z"])
    images = labelled_images_at(model, table)
    assert images.labels.tolist() == [2, 0, 1] and images.classes == ("x", "y", "z")
    assert isinstance(images.sources, RowsInOrder)  # of which few are in memory
    bare = write_parquet(tmp_path / "bare.parquet", noise_images(3, 9, 9), None)
    assert labelled_images_at(model, bare).labels.tolist() == [-1] * 3


@pytest.mark.parametrize("inside", [True, False])
def test_an_archive_has_the_labels_and_all_images_of_its_folder(model, folder, tmp_path, inside):
    write_images(folder, ["loose.png"])
    shutil.make_archive(str(tmp_path / "packed"), "zip", *([folder] if inside else [tmp_path, "images"]))
    images = labelled_images_at(model, str(tmp_path / "packed.zip"))
    assert images.classes == ("cat", "dog") and images.labels.tolist() == [0] * 20 + [1] * 20 + [-1]


def test_labels_that_are_not_read_are_told(model, tmp_path, capsys):
    bare = write_parquet(tmp_path / "bare.parquet", noise_images(3, 9, 9), None)
    table = write_parquet(tmp_path / "some.parquet", noise_images(3, 9, 9), [-1, 0, 1])
    assert (
        labelled_images_at(model, bare).labels.tolist() == labelled_images_at(model, table).labels.tolist() == [-1] * 3
    )
    told = "labels are not read: data.label_column = 'label': must be a column of labels from 0 up, and "
    assert capsys.readouterr().out == f"{told}{table} holds -1\n"
