"""From a model and images to one page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from cplearn_solo.album.codes import by_code
from cplearn_solo.album.neighbours import fits_nowhere, near_duplicates, nearest
from cplearn_solo.album.sheets import sheets, thumbnails
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.files import write_file
from cplearn_solo.core.progress import patience
from cplearn_solo.data import ImageSet
from cplearn_solo.data.workers import Workers
from cplearn_solo.gallery.page import Contents, gallery_page
from cplearn_solo.gallery.plane import Plane, plane
from cplearn_solo.gallery.see import see
from cplearn_solo.inference.images import file_names
from cplearn_solo.inference.pretrained import Pretrained
from cplearn_solo.inference.targets import PAGES, new_file

SHOWN = 3000  # most images of a page
CODES, OF_CODE = 100, 10  # most codes, and images of each
ODD = 30  # images that fit nowhere
GROUPS, OF_GROUP = 30, 10  # most groups of near-duplicates, and images of each
NEIGHBOURS = 10
MOST_BYTES = 5_500_000  # of all thumbnails; the page takes a third more


@dataclass(frozen=True)
class Gallery:
    """The ``page``, which shows ``shown`` of ``images``; ``unreadable`` others could not be read."""

    page: Path
    images: int
    shown: int
    unreadable: int


def write_gallery(
    model: Pretrained,
    images: ImageSet,
    out: str | Path,
    *,
    title: str = "Gallery",
    batch_size: int = 256,
    num_workers: Workers = "auto",
    device: torch.device | str = "cpu",
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> Gallery:
    """Writes ``out``, a page of ``images`` by code, with neighbours, on a map, and of those that stand out.

    ``model`` is on ``device``. Sizes and shares are of all images. At most 3,000 are shown: those that the sections
    need, and a seeded choice. ``progress`` is called with (name of a step, work done, work in all). Raises
    ``InputError`` for bad input, before anything is written.
    """
    out = new_file("OUT", out, PAGES)
    seen = see(
        model,
        images,
        batch_size=batch_size,
        num_workers=num_workers,
        device=device,
        seed=seed,
        progress=lambda done, total: progress("images", done, total),
    )
    x = seen.directions()
    near = nearest(x, NEIGHBOURS, progress=lambda done, total: progress("neighbours", done, total))
    codes = None if seen.codes is None else by_code(seen, most=CODES, images=OF_CODE)
    odd = fits_nowhere(near)[:ODD].tolist() if len(x) > 1 else []
    groups = near_duplicates(x, near)
    needed = [row for code in codes or () for row in code.rows] + odd
    needed += [row for group in groups[:GROUPS] for row in group[:OF_GROUP]]
    shown = _chosen(len(x), needed, seed)
    progress("map", 0, 1)
    points = _plane(x[shown], seed)
    progress("thumbnails", 0, 1)
    rows = seen.rows[shown]
    contents = Contents(
        title=title,
        model=model,
        seen=seen,
        shown=shown,
        names=file_names(images, rows.tolist()),
        classes=images.classes,
        codes=codes,
        odd=odd,
        groups=[group[:OF_GROUP] for group in groups[:GROUPS]],
        group_count=len(groups),
        neighbours=nearest(x[shown], NEIGHBOURS).rows,
        plane=points,
        sheets=sheets(thumbnails(images.subset(rows), num_workers), MOST_BYTES),
    )
    write_file(new_file("OUT", out, PAGES), gallery_page(contents))  # another process may have written it meanwhile
    return Gallery(out, len(seen), len(shown), seen.unreadable)


def _plane(x: torch.Tensor, seed: int) -> Plane | str:
    """The map, or the reason why there is none."""
    with patience("map"):
        try:
            return plane(x, seed=seed)
        except InputError as error:
            return str(error)


def _chosen(count: int, needed: list[int], seed: int) -> torch.Tensor:
    """The rows that are needed and a seeded choice of others, sorted."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    first = torch.tensor(needed, dtype=torch.int64).unique()
    others = order[~torch.isin(order, first)]
    return torch.cat([first, others[: max(0, SHOWN - len(first))]]).sort().values
