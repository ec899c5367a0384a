"""Keys of a detection transfer, which are checked without its extra."""

import pytest
import yaml

from cplearn_solo.core.errors import InputError
from cplearn_solo.core.scripts import SCRIPTS
from cplearn_solo.detection import annotations
from cplearn_solo.detection.schema import parse_detection


@pytest.mark.parametrize(
    "keys, words",
    [
        ({"pretrained": None}, "pretrained is missing"),
        ({"data": {"dataset": "coc"}}, "unknown data.dataset 'coc': did you mean 'coco'?"),
        ({"data": {"dataset": "coco"}}, "data.train = None: must be set with data.dataset=coco"),
        ({"data": {"dataset": "voc", "train": "a", "val": "b"}}, "faster_rcnn with data.dataset=voc"),
        ({"data": {"dataset": "digits", "val": "b.json"}}, "data.val = 'b.json': must be null for scenes of digits"),
        ({"data": {"dataset": "digits", "train_images": "a"}}, "data.train_images = 'a': must be null with data"),
        ({"model": {"neck": "c5"}}, "unknown model.neck 'c5'"),
        ({"model": {"sizes": []}}, "model.sizes = []: must be a list of pixels"),
        ({"optimizer": {"steps": 0}}, "optimizer.steps = 0: must be at least 1"),
        ({"optimizer": {"decay_at": [60000]}}, "optimizer.decay_at = [60000.0]: must be a list of shares"),
        ({"devices": 3}, "optimizer.batch_size = 16: must be a multiple of devices (3)"),
        ({"optimiser": {}}, "unknown key 'optimiser': did you mean 'optimizer'?"),
    ],
)
def test_keys_that_cannot_be_are_told(keys, words):
    with pytest.raises(InputError) as told:
        parse_detection({"pretrained": "x", "data": {"dataset": "digits"}, **keys})
    assert words in str(told.value)


@pytest.mark.parametrize("path", sorted((SCRIPTS / "detection").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_configurations_are_right(path):
    raw = yaml.safe_load(path.read_text())
    own = {"train": "a.json", "val": "b.json"} if path.stem == "coco_fpn" else {}
    config = parse_detection({**raw, "pretrained": "x", "data": {**raw["data"], **own}})
    assert config.optimizer.steps in (90_000, 24_000) or path.stem == "mini"


def test_a_missing_package_is_told(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(annotations, "import_module", missing)
    with pytest.raises(InputError, match=r"needs pycocotools: pip install 'cplearn-solo\[detection\]'"):
        annotations.pycocotools("coco")
