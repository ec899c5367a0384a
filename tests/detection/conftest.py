"""Files of annotations, and what they are read as."""

import json

import pytest
from PIL import Image


def square(number, image, category, box):
    left, top, width, height = box
    corners = [left, top, left + width, top, left + width, top + height, left, top + height]
    facts = {"id": number, "image_id": image, "category_id": category, "iscrowd": 0}
    return {**facts, "bbox": box, "area": width * height, "segmentation": [corners]}


@pytest.fixture
def values(tmp_path):
    """COCO's lists for two images of 40 x 30 pixels, of which the second is empty but for a crowd, in ``tmp_path``."""
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30), "navy").save(tmp_path / name)
    sides = {"width": 40, "height": 30}
    crowd = {**square(3, 8, 5, [0, 0, 40, 30]), "iscrowd": 1}
    return {
        "images": [{"id": 7, "file_name": "a.png", **sides}, {"id": 8, "file_name": "b.png", **sides}],
        "categories": [{"id": 9, "name": "cup"}, {"id": 5, "name": "hat"}],
        "annotations": [square(0, 7, 9, [4, 5, 10, 8]), square(1, 7, 5, [20, 10, 20.5, 10]), crowd],
    }


@pytest.fixture
def written(values, tmp_path):
    """Writes what ``values`` have become, and gives the file."""

    def write(name="some.json"):
        (tmp_path / name).write_text(json.dumps(values))
        return str(tmp_path / name)

    return write
