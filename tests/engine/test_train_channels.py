"""Trainings on images that are not RGB, from files to scores."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from support.configs import tiny
from support.runs import folders

from cplearn_solo.cli.tasks import pretrain_task
from cplearn_solo.config.evaluation import KNNConfig
from cplearn_solo.config.read import parse_config
from cplearn_solo.config.read_evaluation import parse_evaluation
from cplearn_solo.core.errors import InputError
from cplearn_solo.data.notes import say_once
from cplearn_solo.engine.checkpoint import CHECKPOINT_KEY
from cplearn_solo.engine.find import LAST
from cplearn_solo.evaluation.programs import evaluate
from cplearn_solo.inference.pretrained import load_pretrained

pytestmark = pytest.mark.integration
PICTURES = 40  # of each class


def write_folder(root: Path, save) -> Path:
    """Two classes, bright on the left and bright on the right; ``save(path, brightness)`` has values from 0 to 1."""
    random = np.random.default_rng(0)
    for name in ("left", "right"):
        (root / name).mkdir(parents=True)
        for i in range(PICTURES):
            ramp = np.tile(np.linspace(1, 0, 12), (12, 1)) * 0.8 + random.uniform(0, 0.2, (12, 12))
            save(root / name / f"{i}", ramp if name == "left" else ramp[:, ::-1])
    return root


def trained(runs: Path, folder: Path, name: str = "cplearn", **data) -> Path:
    data |= {"dataset": "custom", "train_path": str(folder), "val_split": 0.3, "max_train_images": None}
    config = tiny(runs, name, data=data, max_epochs=1, batch_size=16)
    pretrain_task(OmegaConf.create(config))
    return folders(runs)[-1]


def scores(run: Path, **data) -> dict:
    return evaluate(parse_evaluation({"pretrained": str(run), "num_workers": 0, "data": data}, KNNConfig)).scores


def grey_16_bits(path: Path, brightness: np.ndarray) -> None:
    Image.fromarray((brightness * 65535).astype(np.uint16)).save(path.with_suffix(".png"))


@pytest.mark.parametrize("name", ["cplearn", "gedi"])
def test_grey_images_train_and_are_scored(name, tmp_path):
    run = trained(tmp_path / "runs", write_folder(tmp_path / "images", grey_16_bits), name, channels=1)
    model = load_pretrained(run)
    assert model.backbone.conv1.weight.shape[1] == len(model.mean) == len(model.std) == 1
    summary = json.loads((run / "summary.json").read_text())
    assert summary["linear_acc1"] > 0.9
    assert scores(run)["knn_acc1"] > 0.9
    with pytest.raises(InputError, match="^data.channels = 3: must be 1, which the model was trained on$"):
        scores(run, channels=3)


def test_images_of_four_bands_train_and_are_scored(tmp_path):
    def rgba(path, brightness):
        pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 4)).astype(np.uint8)
        pixels[..., 3] = brightness * 255  # only the fourth tells the classes apart
        Image.fromarray(pixels).save(path.with_suffix(".png"))

    folder = write_folder(tmp_path / "images", rgba)
    run = trained(tmp_path / "runs", folder, channels=4)
    assert scores(run)["knn_acc1"] > 0.9

    Image.new("RGB", (12, 12)).save(folder / "left/odd.png")
    with pytest.warns(UserWarning, match="^1 of .* images could not be read and are skipped: .*odd.png$"):
        scores(run, max_unreadable=0.5)


def test_a_vit_takes_grey_images(tmp_path):
    config = tiny(tmp_path, data={"channels": 1, "max_train_images": 64, "max_val_images": 32}, max_epochs=1)
    config["backbone"] = {"name": "vit_tiny", "kwargs": {"depth": 1}}
    pretrain_task(OmegaConf.create(config))
    assert load_pretrained(folders(tmp_path)[-1]).backbone.patch_embed.proj.weight.shape[1] == 1


def test_evaluation_reads_values_as_the_training_did(tmp_path, capsys):
    """``data.range: auto`` is measured by the training alone and kept in its checkpoint."""

    def integers(path, brightness):
        Image.fromarray((brightness * 1000 - 500).astype(np.int32), "I").save(path.with_suffix(".tif"))

    say_once.cache_clear()
    folder = write_folder(tmp_path / "images", integers)
    run = trained(tmp_path / "runs", folder, channels=1, range="auto")
    assert capsys.readouterr().out.count("data.range = auto: [") == 1
    low, high = limits = torch.load(run / LAST, weights_only=True)[CHECKPOINT_KEY]["limits"]
    assert -500 <= low < -450 and 450 < high <= 500
    assert json.loads((run / "derived.json").read_text())["data_range"] == list(limits)

    say_once.cache_clear()
    before = scores(run)
    brighter = write_folder(tmp_path / "brighter", lambda path, values: integers(path, values + 0.4))
    changed = scores(run, train_path=str(brighter), val_split=0.3)
    assert "data.range" not in capsys.readouterr().out
    assert before["knn_acc1"] > 0.9 and changed["scored_images"] == before["scored_images"]


def test_augmentations_of_colour_are_refused_before_anything_is_read(tmp_path):
    with pytest.raises(
        InputError, match="^data.channels = 1: must be 3 .*: augmentations.0.color_jitter.saturation=0 "
    ):
        parse_config(tiny(tmp_path, "cplearn", "cifar_mini", data={"dataset": "custom", "channels": 1}))
