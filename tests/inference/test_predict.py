"""Classes of images in files, by the probe that a run carries."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from support.images import write_images

from cplearn_solo.core.errors import InputError
from cplearn_solo.inference.features import extract
from cplearn_solo.inference.images import images_at
from cplearn_solo.inference.predict import class_names, predict
from cplearn_solo.inference.pretrained import load_pretrained

OLD = Path(__file__).parents[1] / "fixtures/0.2.0/run"


@pytest.fixture
def images(model, tmp_path):
    write_images(tmp_path / "images", [f"{i}.png" for i in range(6)])
    (tmp_path / "images/3.png").write_bytes(b"no image")
    return images_at(model, str(tmp_path / "images"))


def rows(file):
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.filterwarnings("ignore:1 of 6 images could not be read")
def test_probabilities_are_those_of_a_linear_layer_on_standardised_features(model, images, tmp_path):
    found = predict(model, images, tmp_path / "out", num_workers=0)
    assert found.file == tmp_path / "out.csv" and (found.rows, found.unreadable) == (5, 1)
    assert [row["file"] for row in rows(found.listed)] == ["3.png"]

    state = torch.load(model.checkpoint, weights_only=True)["state_dict"]
    readable = images.subset(torch.tensor([0, 1, 2, 4, 5]))
    crop_size = model.config.augmentations[0].crop_size
    x = extract(model.backbone, None, readable, crop_size=crop_size).x.double()
    x = (x - state["features_scale.mean"]) / state["features_scale.variance"].double().sqrt()
    logits = x @ state["classifier.weight"].double().T + state["classifier.bias"]
    wanted = logits.exp() / logits.exp().sum(dim=1, keepdim=True)

    written = rows(found.file)
    assert [row["file"] for row in written] == ["0.png", "1.png", "2.png", "4.png", "5.png"]
    p = np.array([[float(row[f"p_kind {k}"]) for k in range(10)] for row in written])
    np.testing.assert_allclose(p, wanted, rtol=1e-4)
    assert [row["class"] for row in written] == [f"kind {k}" for k in wanted.argmax(dim=1).tolist()]
    np.testing.assert_allclose([float(row["probability"]) for row in written], wanted.amax(dim=1), rtol=1e-4)

    predict(model, images, tmp_path / "out.parquet", num_workers=0)
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column_names == list(written[0]) and table["class"].to_pylist() == [row["class"] for row in written]


def test_classes_without_names_of_their_own_are_numbers(model):
    assert class_names(replace(model, classes=())) == class_names(load_pretrained(OLD)) == [str(k) for k in range(10)]
    assert class_names(replace(model, classes=("same",) * 10))[:2] == ["0", "1"]


def test_a_run_without_labels_has_no_classes(checkpoint, images, tmp_path):
    model = load_pretrained(checkpoint(no_labels=True, dataset="custom", train_path=str(tmp_path)))
    with pytest.raises(InputError, match="must be of a run that had labels"):
        predict(model, images, tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


@pytest.mark.parametrize(
    "out, words",
    [("out.npy", "a file that ends in .csv, .parquet"), ("there", "a new file, that one exists")],
)
def test_other_files_are_refused(out, words, model, images, tmp_path):
    (tmp_path / "there.csv").write_text("mine")
    with pytest.raises(InputError, match=words):
        predict(model, images, tmp_path / out)
    assert {path.name for path in tmp_path.iterdir()} == {"images", "there.csv"}
