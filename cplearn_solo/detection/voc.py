"""Pascal VOC in COCO's format."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from torchvision.datasets import VOCDetection

from cplearn_solo.core.errors import InputError
from cplearn_solo.detection.annotations import Annotations, checked


def voc_files(root: str, parts: Any, *, key: str) -> list[tuple[Path, Path]]:
    """Image file and XML annotation of each image of ``parts``, such as ``2007_trainval``, or a list of them.

    Raises ``InputError`` for parts that are not in ``root``.
    """
    files: list[tuple[Path, Path]] = []
    for part in parts if isinstance(parts, list) else [parts]:
        year, _, name = str(part).partition("_")
        try:
            found = VOCDetection(root, year=year, image_set=name)
        except (RuntimeError, ValueError, OSError) as error:
            wanted = f"parts YEAR_SET that are in data.root = {root!r} ({str(error).splitlines()[0]})"
            raise InputError(f"{key} = {part!r}: must be {wanted}") from error
        files += zip(map(Path, found.images), map(Path, found.targets))
    return files


def read_voc(root: str, parts: Any, *, key: str) -> Annotations:
    """Parts of Pascal VOC in COCO's format; objects marked difficult are crowds, which count neither for nor against a
    detector. Raises ``InputError`` as :func:`voc_files` and :func:`checked` do, and for files that are not VOC's.
    """
    images: list[dict[str, Any]] = []
    objects: list[dict[str, Any]] = []
    for file, target in voc_files(root, parts, key=key):
        try:
            tree = VOCDetection.parse_voc_xml(ElementTree.parse(target).getroot())["annotation"]
            sides = {side: int(tree["size"][side]) for side in ("width", "height")}
            of_image = [{**_object(each), "image_id": len(images)} for each in tree["object"]]
        except (ElementTree.ParseError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{key}: {target} must be VOC's XML, and has no proper {error}") from error
        images.append({"id": len(images), "file_name": str(file.resolve()), **sides})
        objects += of_image
    names = sorted({each["name"] for each in objects})
    annotations = [
        {**each, "id": place, "category_id": names.index(each["name"]) + 1} for place, each in enumerate(objects)
    ]
    categories = [{"id": place, "name": name} for place, name in enumerate(names, 1)]
    values = {"images": images, "annotations": annotations, "categories": categories}
    return checked(values, Path("/"), key=key, masks=False)


def _object(tree: dict[str, Any]) -> dict[str, Any]:
    """Name and box of an object of VOC, and whether it is a crowd, which means marked as difficult."""
    corners = {side: float(value) for side, value in tree["bndbox"].items()}
    return {"name": tree["name"], **_area(**corners), "iscrowd": int(tree.get("difficult", 0))}


def _area(*, xmin: float, ymin: float, xmax: float, ymax: float) -> dict[str, Any]:
    """A box of VOC, which counts pixels from 1 and includes both ends."""
    width, height = xmax - xmin + 1, ymax - ymin + 1
    return {"bbox": [xmin - 1, ymin - 1, width, height], "area": width * height}
