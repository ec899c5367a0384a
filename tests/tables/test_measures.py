"""What tables measure of a network besides a run's summary, and how it gets into a result."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from support.configs import tiny

from cplearn_solo.cli.tasks import pretrain_task
from cplearn_solo.config import parse_config
from cplearn_solo.inference.features import Features, extract
from cplearn_solo.inference.pretrained import load_pretrained
from cplearn_solo.inference.splits import splits_of
from cplearn_solo.tables import measures
from cplearn_solo.tables.cell import run_cell
from cplearn_solo.tables.measures import MEASURES, measure, store_untrained
from cplearn_solo.tables.plan import Cell
from cplearn_solo.tables.schedule import _record
from cplearn_solo.tables.schema import MEASURES as NAMES

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    """A cell of VICReg on 200 digits, with all checkpoints kept, as its process leaves it; and what its result says."""
    folder = tmp_path_factory.mktemp("cell")
    quick = {"linear": False, "knn": False, "clustering": False}
    config = tiny(folder, "vicreg", max_epochs=2, evaluation=quick, checkpoint={"keep_prev": True, "dir": str(folder)})
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(config))
    (folder / "cell.json").write_text(json.dumps({"row": "VICReg", "measures": ["spectrum", "classes"]}))
    return folder, run_cell(folder, pretrain_task)


def test_data_files_know_the_measures():
    assert sorted(NAMES) == sorted(MEASURES)


def test_a_detector_is_of_the_run_whatever_its_folder_is_called(monkeypatch):
    asked = []
    monkeypatch.setattr(measures, "load_pretrained", lambda place: SimpleNamespace(config=SimpleNamespace(seed=3)))
    monkeypatch.setattr(measures, "detect", lambda config: asked.append(config) or SimpleNamespace(result={"AP": 0.5}))
    place = Path("runs/it's one, 'two'")
    assert measure(["detection_mini"], place) == ({"detected_AP": 0.5}, {})
    assert (asked[0].pretrained, asked[0].seed) == (str(place), 3)


def test_a_result_says_what_the_images_were(cell):
    assert cell[1]["data"]["train"]["classes"] == 10 and set(cell[1]["data"]) == {"train", "scored"}


def test_the_spectrum_is_that_of_the_covariance_of_embeddings(cell):
    _, result = cell
    model = load_pretrained(result["run"])
    images = splits_of(model, {})[0].train
    with torch.no_grad():
        embeddings = model.method.embed(extract(model.backbone, None, images, crop_size=8).x).double().numpy()
    expected = np.linalg.eigvalsh(np.cov(embeddings.T, bias=True))[::-1]
    found = result["curves"]["embeddings_spectrum"]
    assert found[:20] == pytest.approx(expected[:20].tolist(), rel=1e-3) and found == sorted(found, reverse=True)
    assert 1 < result["summary"]["embeddings_effective_rank"] < 200


def test_class_ranks_are_measured_at_each_checkpoint(cell):
    _, result = cell
    curves, summary = result["curves"], result["summary"]
    assert curves["kept_epochs"] == [1, 2]
    for name in ("intra_class_rank", "inter_class_rank"):
        assert curves[f"{name}_by_epoch"][1] == pytest.approx(summary[name]) and summary[name] >= 1
    assert summary["inter_class_rank"] <= 9  # ten classes around their mean


def test_the_matrix_cross_entropy_is_that_of_its_definition(cell):
    _, result = cell
    model = load_pretrained(result["run"])
    x = extract(model.backbone, None, splits_of(model, {})[0].test, crop_size=8).x.double().numpy()
    z = x / np.linalg.norm(x, axis=1, keepdims=True)
    d = z.shape[1]
    values, vectors = np.linalg.eigh(z.T @ z / len(z) + np.eye(d) / d)  # 359 rows are one batch
    expected = -2 / d * np.log(values).sum() + values.sum()
    assert result["summary"]["uniformity_mce"] == pytest.approx(expected)


@pytest.fixture
def rare_classes(monkeypatch):
    """Function from labels of training, probe and test images to what is measured where features tell them."""

    def measured(train, probe, test):
        def images(labels):
            return SimpleNamespace(labels=torch.tensor(labels), num_classes=max(*train, *probe, *test) + 1)

        def features(found):
            return Features(
                torch.eye(found.num_classes)[found.labels] + torch.rand(len(found.labels), 1), found.labels, None
            )

        config = SimpleNamespace(seed=0)
        monkeypatch.setattr(measures, "load_pretrained", lambda _: SimpleNamespace(backbone=None, config=config))
        monkeypatch.setattr(measures, "device_after_training", lambda _: "cpu")
        monkeypatch.setattr(measures, "extractor", lambda *_, **__: features)
        parts = {"train": images(train), "probe": images(probe), "test": images(test)}
        monkeypatch.setattr(measures, "splits_of", lambda *_: (SimpleNamespace(**parts), None))
        torch.manual_seed(0)
        return measure(["rare_classes"], Path("run"))[0]

    return measured


def test_the_rarest_classes_are_those_of_training(rare_classes):
    probe = [0, 1, 2, 3] * 8
    assert rare_classes([0] * 9 + [1] * 5 + [2, 2, 3], probe, [0, 1, 2, 3])["rare_recall"] == 1
    # class 3 has no image in training, and neighbours cannot know it: rare are 0, 1 and 2
    assert rare_classes([0] * 9 + [1] * 5 + [2], [0, 1, 2] * 8, [0, 1, 2, 3])["rare_recall"] == 1
    assert "rare_recall" in rare_classes([-1, 0, 0, 1, 2], probe, [0, 1, 2, 3]), "some without a label"


def test_without_three_classes_or_test_images_of_them_there_is_nothing_to_recall(rare_classes):
    whole = {"whole_linear_balanced_acc1": 1}
    assert rare_classes([0, 0, 1], [0, 1] * 8, [0, 1]) == whole
    assert rare_classes([0] * 9 + [1, 2, 3], [0, 1, 2, 3] * 8, [0, 0]) == whole


def test_curves_of_training_are_kept(cell):
    _, result = cell
    for name in ("train_loss", "collapse_correlation", "collapse_features_correlation"):
        assert len(result["curves"][name]) == 2
    assert 0 < result["curves"]["collapse_correlation"][-1] < 1


def test_a_table_keeps_the_curves_that_it_draws_whoever_has_run_the_cell(cell):
    _, result = cell
    drawing = Cell("digits", "VICReg", 0, {}, curves=("train_variance", "train_loss", "no"))
    kept = _record(drawing, "key", 1.0, result)["curves"]
    assert len(kept["train_variance"]) == 2 and "no" not in kept
    assert {name: kept[name] for name in result["curves"]} == result["curves"]
    for outcome in ({"failed": "full", "log": "log.txt"}, {**result, "run": "gone"}):
        assert _record(drawing, "key", 1.0, outcome).get("curves") == outcome.get("curves")


def test_the_untrained_network_of_a_reference_row_is_measured(cell, tmp_path):
    folder, _ = cell
    config = parse_config(OmegaConf.load(folder / "config.yaml"))
    numbers, lists = measure(["classes"], store_untrained(tmp_path / "untrained.ckpt", config))
    assert numbers["intra_class_rank"] >= 1 and not lists
