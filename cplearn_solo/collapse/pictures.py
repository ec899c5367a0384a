"""Images as runs see them: those of the largest codes, and the nearest neighbours of some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from cplearn_solo.album.codes import by_code, class_name
from cplearn_solo.album.neighbours import nearest
from cplearn_solo.album.seen import Seen
from cplearn_solo.album.sheets import sheets, thumbnails
from cplearn_solo.collapse.subject import Subject, choice
from cplearn_solo.data import sampled
from cplearn_solo.inference.images import file_names

CODES, OF_CODE = 10, 10  # most codes, and images of each
ASKED, NEIGHBOURS = 6, 9  # images whose neighbours are shown, and how many
MOST_BYTES = 1_000_000  # of all thumbnails; encoded in the page, a third more


@dataclass(frozen=True)
class View:
    """A subject's images: cards of its largest ``codes`` and of ``neighbours``; ``used``: number of codes in use."""

    name: str
    codes: list[dict[str, Any]] | None
    used: int
    neighbours: list[dict[str, Any]]


@dataclass(frozen=True)
class Pictures:
    """A view of each subject that has images; images, ``names`` and thumbnails are numbered over all views."""

    views: list[View]
    names: list[str]
    sheets: list[bytes]


def pictures(examples: list[tuple[Subject, str]], *, seed: int) -> Pictures:
    """The images of ``(subject, name)`` pairs; subjects of equal size show neighbours of the same images."""
    views, names, thumbs = [], [], []
    for subject, name in examples:
        if subject.images is None:
            continue
        seen = _seen(subject)
        codes = None if seen.codes is None else by_code(seen, most=CODES, images=OF_CODE)
        asked = choice(len(seen), ASKED, seed)
        near = torch.cat([asked[:, None], nearest(seen.directions(), NEIGHBOURS, of=asked).rows], dim=1)
        shown = torch.tensor([row for code in codes or () for row in code.rows] + near.flatten().tolist()).unique()
        place = {row: len(names) + i for i, row in enumerate(shown.tolist())}
        views.append(
            View(
                name,
                None if codes is None else [code.card(subject.classes, place) for code in codes],
                0 if seen.codes is None else len(seen.codes.unique()),
                [_neighbours(seen, rows, subject.classes, place) for rows in near.tolist()],
            )
        )
        places = subject.places[shown]
        names += file_names(subject.images, places.tolist())
        thumbs.append(thumbnails(sampled(subject.images, places), num_workers=0))  # too few to start processes for
    return Pictures(views, names, sheets(torch.cat(thumbs), MOST_BYTES) if thumbs else [])


def _seen(subject: Subject) -> Seen:
    every = torch.arange(len(subject.features))
    labels = torch.full_like(every, -1) if subject.labels is None else subject.labels
    return Seen(subject.codes, subject.confidence, labels, every, every, subject.features, unreadable=0)


def _neighbours(seen: Seen, rows: list[int], classes: tuple[str, ...], place: dict[int, int]) -> dict[str, Any]:
    """An image and its neighbours by their ``place`` on the page; if it has a label, how many neighbours share it."""
    label, *others = seen.labels[rows].tolist()
    known = [other for other in others if other >= 0]
    return {
        "images": [place[row] for row in rows],
        "label": class_name(classes, label) if label >= 0 else None,
        "alike": known.count(label),
        "known": len(known),
    }
