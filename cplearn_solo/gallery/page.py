"""The words and numbers of a gallery's page, for its template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from cplearn_solo.album.codes import Code, class_name
from cplearn_solo.album.seen import Seen
from cplearn_solo.album.sheets import COLUMNS, SIDE
from cplearn_solo.gallery.plane import Plane
from cplearn_solo.inference.pretrained import Pretrained
from cplearn_solo.pages import render

OPEN_CODES = 20  # shown at first; the others are collapsed
DIGITS = 4  # of a point on the map, which has no more pixels


@dataclass(frozen=True)
class Contents:
    """The content of a page. ``codes``, ``odd`` and ``groups`` hold rows of the kept images; ``shown`` are the rows
    with a thumbnail, ``names`` their files, and ``neighbours`` are positions in ``shown``. ``plane`` may be the reason
    why there is no map."""

    title: str
    model: Pretrained
    seen: Seen
    shown: Tensor
    names: list[str]
    classes: tuple[str, ...]
    codes: list[Code] | None
    odd: list[int]
    groups: list[list[int]]
    group_count: int
    neighbours: Tensor
    plane: Plane | str
    sheets: list[bytes]


def gallery_page(contents: Contents) -> str:
    """The whole page."""
    place = {row: i for i, row in enumerate(contents.shown.tolist())}  # of each kept image among those shown
    seen = contents.seen
    codes = [code.card(contents.classes, place) for code in contents.codes or ()]
    total = contents.model.method.codes_total
    return render(
        "gallery.html",
        title=contents.title,
        method=contents.model.config.method,
        backbone=contents.model.config.backbone.name,
        width=seen.features.shape[1],
        total=len(seen),
        shown=len(contents.shown),
        unreadable=seen.unreadable,
        names=contents.names,
        codes=None if contents.codes is None else codes,
        open_codes=OPEN_CODES,
        codes_used=0 if seen.codes is None else len(seen.codes.unique()),
        codes_total=total,
        odd=[place[row] for row in contents.odd],
        groups=[[place[row] for row in group] for group in contents.groups],
        group_count=contents.group_count,
        plane=contents.plane,
        sheets=contents.sheets,
        columns=COLUMNS,
        side=SIDE,
        data=_data(contents),
    )


def _data(contents: Contents) -> dict[str, Any]:
    """What the script needs of each image that is shown, in their order."""
    seen, points = contents.seen, contents.plane
    codes, confidence = _of_shown(contents, seen.codes), _of_shown(contents, seen.confidence)
    labels = seen.labels[seen.kept][contents.shown].tolist()
    known = {label: class_name(contents.classes, label) for label in sorted({*labels}) if label >= 0}
    return {
        "columns": COLUMNS,
        "total": len(seen),
        "names": contents.names,
        "codes": codes,
        "confidence": confidence and [round(value, 3) for value in confidence],
        "classes": [known.get(label) for label in labels] if known else None,
        "neighbours": contents.neighbours.tolist(),
        "points": None if isinstance(points, str) else points.points.round(DIGITS).tolist(),
    }


def _of_shown(contents: Contents, values: Tensor | None) -> list[Any] | None:
    return None if values is None else values[contents.seen.kept][contents.shown].tolist()
