"""Pascal VOC: what its files say, and what a transfer is known by."""

from types import SimpleNamespace

import pytest
from PIL import Image
from torch import nn

from cplearn_solo.core.errors import InputError
from cplearn_solo.data.decoding.image import STANDARD
from cplearn_solo.detection import train
from cplearn_solo.detection.dataset import AnnotatedImages
from cplearn_solo.detection.schema import parse_detection
from cplearn_solo.detection.voc import read_voc

pytest.importorskip("pycocotools", reason="pycocotools, of the extra detection, is not installed")


@pytest.fixture
def voc(tmp_path):
    """An image with a dog and a difficult cat: the root, and the file of its boxes."""
    place = tmp_path / "VOCdevkit/VOC2007"
    for folder in ("ImageSets/Main", "Annotations", "JPEGImages"):
        (place / folder).mkdir(parents=True)
    (place / "ImageSets/Main/val.txt").write_text("01\n")
    Image.new("RGB", (40, 30)).save(place / "JPEGImages/01.jpg")
    box = "<bndbox><xmin>5</xmin><ymin>6</ymin><xmax>14</xmax><ymax>13</ymax></bndbox>"
    objects = "".join(
        f"<object><name>{n}</name><difficult>{d}</difficult>{box}</object>" for n, d in (("dog", 0), ("cat", 1))
    )
    boxes = place / "Annotations/01.xml"
    boxes.write_text(f"<annotation><size><width>40</width><height>30</height></size>{objects}</annotation>")
    return SimpleNamespace(root=str(tmp_path), boxes=boxes)


def read(voc, parts="2007_val"):
    return read_voc(voc.root, parts, key="data.val")


def test_difficult_objects_are_crowds(voc):
    found = read(voc, ["2007_val"])
    assert found.categories == {1: "cat", 2: "dog"}
    (dog,) = found.objects(0)
    assert dog["category_id"] == 2 and dog["bbox"] == [4, 5, 10, 8] and dog["area"] == 80
    image, _ = AnnotatedImages(found, STANDARD, masks=False, with_objects=True)[0]
    assert image.shape == (3, 30, 40)
    whole = voc.boxes.read_text()
    voc.boxes.write_text(whole.replace("<difficult>0</difficult>", ""))  # as other programs leave it out
    assert [each["category_id"] for each in read(voc).objects(0)] == [2]


@pytest.mark.parametrize("old, new, words", [("name>", "n>", "'name'"), ("size>", "s>", "'size'"), ("<", "", "")])
def test_files_that_are_not_vocs_are_told(voc, old, new, words):
    voc.boxes.write_text(voc.boxes.read_text().replace(old, new))
    with pytest.raises(InputError, match=f"^data.val: .*01.xml must be VOC's XML, and has no proper {words}"):
        read(voc)


def test_parts_that_are_not_there_are_told(voc):
    with pytest.raises(InputError, match="data.val = '2007_test': must be parts YEAR_SET that are in data.root"):
        read(voc, ["2007_test"])


def test_a_transfer_is_known_by_its_boxes(voc):
    data = {"dataset": "voc", "root": voc.root, "train": "2007_val", "val": "2007_val"}
    config = parse_detection({"pretrained": "run", "model": {"name": "faster_rcnn"}, "data": data})
    before = train._identity(config, nn.Identity())
    assert train._identity(config, nn.Identity()) == before
    voc.boxes.write_text(voc.boxes.read_text().replace("dog", "wolf"))
    assert train._identity(config, nn.Identity()) != before
