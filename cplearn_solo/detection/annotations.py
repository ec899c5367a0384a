"""Images with boxes and masks in COCO's format; other formats are converted to it. Mistakes are reported at once."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

from cplearn_solo.core.errors import InputError, require
from cplearn_solo.core.progress import say
from cplearn_solo.detection.schema import coco_places

ROUNDING = 1.0  # pixels by which a box may exceed its image
THINNEST = 1e-3  # least pixels of a side; float32 can still tell it from 0 in an image of some thousand pixels
NAMED = 3  # in a message


@dataclass(frozen=True)
class Annotations:
    """Annotated images. ``coco``: pycocotools' index of them; ``folder``: file names are relative to it."""

    coco: Any
    folder: Path
    key: str  # key of the configuration, for messages

    @property
    def categories(self) -> dict[int, str]:
        """Names by COCO's ids, in order of the ids, which is also the order of the network's classes."""
        return {each["id"]: each["name"] for each in sorted(self.coco.dataset["categories"], key=lambda c: c["id"])}

    def objects(self, image: int) -> list[dict[str, Any]]:
        """Objects to find in an image, without crowds and without boxes that have no area inside of it."""
        sides = self.coco.imgs[image]["width"], self.coco.imgs[image]["height"]
        return [each for each in self.coco.imgToAnns[image] if not each["iscrowd"] and _has_area(each["bbox"], *sides)]


def pycocotools(module: str) -> Any:
    """A module of pycocotools; ``InputError`` if it is not installed."""
    try:
        return import_module(f"pycocotools.{module}")
    except ModuleNotFoundError as error:
        raise InputError("cplearn detect needs pycocotools: pip install 'cplearn-solo[detection]'") from error


def read_coco(file: str, images: str | None, *, key: str, masks: bool) -> Annotations:
    """Annotations of a JSON file. Raises ``InputError`` if it cannot be read, and as :func:`checked` does."""
    path, folder = coco_places(file, images, key=key)
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise InputError(f"{key} = {file!r}: must be JSON ({error})") from error
    return checked(values, folder, key=key, masks=masks)


def checked(values: Any, folder: Path, *, key: str, masks: bool) -> Annotations:
    """Annotations from COCO's lists of images, categories and annotations.

    Raises ``InputError`` for missing or doubled entries, boxes outside of their images, image files that do not exist,
    and, with ``masks``, objects without a segmentation.
    """
    lists = ("images", "categories", "annotations")
    whole = isinstance(values, dict) and all(isinstance(values.get(name), list) and values[name] for name in lists)
    require(whole, key, str(folder), f"COCO's format, an object with the lists {', '.join(lists)}, none empty")
    try:
        _check(values, folder, key, masks)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{key}: must be COCO's format, and an entry has no proper {error}") from error
    coco = pycocotools("coco").COCO()
    coco.dataset = {**values, "annotations": [_whole(each, i) for i, each in enumerate(values["annotations"], 1)]}
    with redirect_stdout(StringIO()):
        coco.createIndex()
    return Annotations(coco, folder, key)


def _whole(annotation: dict[str, Any], number: int) -> dict[str, Any]:
    """An annotation with all entries that scoring needs, as some programs omit them: a missing segmentation is the box.
    It gets a new id, because pycocotools treats the id 0 as none."""
    x, y, width, height = annotation["bbox"]
    box = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    said = {key: value for key, value in annotation.items() if value not in (None, [], {})}
    return {"iscrowd": 0, "area": width * height, "segmentation": box, **said, "id": number}


def _is_shape(segmentation: Any, width: int, height: int) -> bool:
    """Whether pycocotools can make a mask of the image's size: from polygons, which it recognises by the first one, or
    from a run-length code."""
    if isinstance(segmentation, dict):
        return segmentation.get("size") == [height, width] and "counts" in segmentation
    polygons = isinstance(segmentation, list) and all(isinstance(each, list) for each in segmentation)
    return polygons and len(segmentation) > 0 and len(segmentation[0]) > 4


def _has_area(box: list[float], width: float, height: float) -> bool:
    x, y, w, h = box
    return min(min(x + w, width) - max(x, 0), min(y + h, height) - max(y, 0)) > THINNEST


def _check(values: dict[str, Any], folder: Path, key: str, masks: bool) -> None:
    for kind in ("images", "categories", "annotations"):
        twice = [each for each, count in Counter(entry["id"] for entry in values[kind]).items() if count > 1]
        require(not twice, f"{key}: id of {kind}", (twice or [None])[0], "there once")
    images = {image["id"]: image for image in values["images"]}
    categories = {each["id"]: each["name"] for each in values["categories"]}
    sides = {number: (image["width"], image["height"]) for number, image in images.items()}
    lost = [image["file_name"] for image in images.values() if not (folder / image["file_name"]).is_file()]
    hint = f"{key}_images=FOLDER says where images are; {len(lost)} of {len(images)} are not there"
    require(not lost, f"{key}: image", (lost or [None])[0], f"a file in {folder}: {hint}")
    for each in values["annotations"]:
        where = f"{key}: annotation {each['id']}"
        require(each["image_id"] in images, f"{where}, image_id", each["image_id"], "the id of an image")
        require(each["category_id"] in categories, f"{where}, category_id", each["category_id"], "that of a category")
        (right, bottom), (x, y, width, height) = sides[each["image_id"]], each["bbox"]
        inside = min(x, y) >= -ROUNDING and width >= 0 and height >= 0
        inside &= x + width <= right + ROUNDING and y + height <= bottom + ROUNDING
        name = images[each["image_id"]]["file_name"]
        wanted = f"[x, y, width, height] inside of {name}, {right} x {bottom} pixels: correct or remove it"
        require(inside, f"{where}, bbox", each["bbox"], wanted)
        wanted = f"polygons, or a run-length code of {right} x {bottom} pixels: "
        wanted += "model.name=faster_rcnn does without masks"
        shape = each.get("segmentation")
        has_mask = not masks or _is_shape(shape, right, bottom) or (not shape and bool(each.get("iscrowd")))
        require(has_mask, f"{where}, segmentation", shape, wanted)


def require_same_categories(train: Annotations, val: Annotations) -> None:
    """Raises ``InputError`` unless both have the same categories, each with a training box, and ``val`` has a box."""
    there = train.categories
    for number in sorted({*there, *val.categories}):
        ours, theirs = there.get(number), val.categories.get(number)
        wanted = "left out" if ours is None else repr(ours)
        require(ours == theirs, f"{val.key}: category {number}", theirs, f"{wanted}, as in {train.key}")
    found = {each["category_id"] for image in train.coco.imgs for each in train.objects(image)}
    lacking = [name for number, name in there.items() if number not in found]
    wanted = f"with a box in {train.key}: remove {'them' if len(lacking) > 1 else 'it'} from the list, or add boxes"
    require(not lacking, f"{train.key}: categories", ", ".join(lacking[:NAMED]), wanted)
    scored = {each["category_id"] for image in val.coco.imgs for each in val.objects(image)}
    require(bool(scored), f"{val.key}: annotations", len(val.coco.anns), "with a box that has area and is no crowd")
    unscored = [name for number, name in there.items() if number not in scored]
    if unscored:
        say(f"{val.key} has no box of {', '.join(unscored[:NAMED])}: AP is the mean of the other categories")
