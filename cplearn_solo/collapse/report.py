"""From paths to a folder with figures and a page."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cplearn_solo.collapse.comparison import Comparison, compare, count_steps
from cplearn_solo.collapse.entropy import COMPONENTS
from cplearn_solo.collapse.figures import PLOTS, draw
from cplearn_solo.collapse.page import page
from cplearn_solo.collapse.sources import Subject, read_subject
from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics.checks import check_count

PAGE = "index.html"


@dataclass(frozen=True)
class Report:
    """What was compared, and the page that shows it."""

    comparison: Comparison
    page: Path


def write_report(
    paths: list[str],
    *,
    output: str | None = None,
    images: int = 10_000,
    max_components: int = 200,
    data: dict[str, Any] | None = None,
    seed: int = 0,
    progress: Callable[[int, int, str], None] = lambda done, total, title: None,
) -> Report:
    """Compares the runs, checkpoints and files of features at ``paths`` in a new folder.

    ``output``: the folder, which must not exist or be empty; by default ``RUN/figures/TIME`` for one run and
    ``collapse/TIME`` else. ``images``: most samples of each. ``max_components``: most components of the mixtures whose
    entropy is measured. ``data`` overrides the data that runs were trained on. ``progress`` is called before each step
    with steps done, steps in all and what comes. Raises ``InputError`` for bad input, before anything is written.
    """
    check_count("images", images)
    if images < 2:
        raise InputError(f"images must be at least 2, got {images}")
    components = tuple(count for count in COMPONENTS if count <= max_components)
    if not components:
        raise InputError(f"max_components must be at least {COMPONENTS[0]}, got {max_components}")
    if output is not None:
        _check_free(Path(output))  # now, rather than after minutes of work
    subjects = []
    for i, path in enumerate(paths):
        progress(i, len(paths), f"reading {path}")
        subjects.append(read_subject(path, images=images, data=data or {}, seed=seed))
    if data and not any(subject.trained for subject in subjects):
        raise InputError(f"data = {data}: none of {', '.join(map(str, paths))} is a run with data of its own")

    total, done = count_steps(subjects, components) + len(PLOTS), iter(range(1 << 30))
    comparison = compare(
        subjects, components=components, seed=seed, at=lambda title: progress(next(done), total, title)
    )
    drawn = []
    for plot in PLOTS:
        progress(next(done), total, f"drawing {plot.file}")
        drawn.append(draw(plot, comparison))
    progress(total, total, "writing")
    folder = _new_folder(output, subjects)
    for figure in drawn:
        if figure.png is not None:
            (folder / figure.plot.file).write_bytes(figure.png)
    (folder / PAGE).write_text(page(comparison, drawn), encoding="utf-8")
    return Report(comparison, folder / PAGE)


def _check_free(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"output = {folder}: exists already; name a folder that does not")
    parent = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise InputError(f"output = {folder}: {parent} is no folder that can be written to")


def _new_folder(output: str | None, subjects: list[Subject]) -> Path:
    try:
        if output is not None:
            folder = Path(output)
            _check_free(folder)
            folder.mkdir(parents=True, exist_ok=True)
            return folder
        run = subjects[0].run if len(subjects) == 1 else None
        root, stamp, attempt = run / "figures" if run else Path("collapse"), time.strftime("%Y%m%d-%H%M%S"), 1
        while (folder := root / (stamp if attempt == 1 else f"{stamp}-{attempt}")).exists():
            attempt += 1
        folder.mkdir(parents=True)
        return folder
    except OSError as error:
        raise InputError(f"output = {output or root}: {error}") from error
