"""From paths to a folder with figures and a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cplearn_solo.collapse.asked import ARRAYS, COMPONENTS, RELEASED, STANDARD, check_asked, check_free, check_writable
from cplearn_solo.collapse.comparison import Comparison, compare, count_steps
from cplearn_solo.collapse.figures import PLOTS, draw
from cplearn_solo.collapse.groups import by_configuration, by_themselves, grouped
from cplearn_solo.collapse.page import report_page
from cplearn_solo.collapse.pictures import pictures
from cplearn_solo.collapse.progress import Steps
from cplearn_solo.collapse.protocols import PROTOCOLS
from cplearn_solo.collapse.sources import read_origin, read_subject
from cplearn_solo.core.errors import InputError, require
from cplearn_solo.core.files import folder_of_now, write_file
from cplearn_solo.engine.find import find_checkpoint

PAGE = "index.html"


@dataclass(frozen=True)
class Report:
    """The comparison, and the page that shows it."""

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
    group: bool = False,
    protocol: str = STANDARD,
    progress: Callable[[int, int, str], None] = lambda done, total, title: None,
) -> Report:
    """Compares the runs, checkpoints and files of features at ``paths`` in a new folder.

    ``output``: the folder, which must be empty or not exist; by default ``RUN/figures/TIME`` for one run, otherwise
    ``collapse/TIME``. ``images``: most samples of each. ``max_components``: most components of the mixtures whose
    entropy is measured. ``data`` overrides the data that runs were trained on. ``group``: runs that differ in the seed
    only share a curve and a column. ``protocol``: of spectra and entropies, a name in ``PROTOCOLS``. ``progress`` is
    called before each step with the steps done, their total and the step's title. Raises ``InputError`` for bad input,
    before anything is written.
    """
    check_asked(images=images, max_components=max_components, protocol=protocol, output=output)
    root = _default_root(paths)
    if output is None:
        check_writable(root)
    components = tuple(count for count in COMPONENTS if count <= max_components)
    if group:  # reports errors before minutes of work
        grouped([read_origin(path) for path in paths])
    subjects, reading = [], Steps(len(paths), progress)
    for path in paths:
        reading.start(f"reading {path}")
        released = protocol == RELEASED
        subjects.append(read_subject(path, images=images, data=data or {}, seed=seed, released=released))
    a_run = any(subject.method is not None for subject in subjects)
    require(a_run or not data, "data", data, f"left out, as none of {', '.join(map(str, paths))} is a run")

    groups, names = (by_configuration if group else by_themselves)(subjects)
    shown = PROTOCOLS[protocol]
    steps = Steps(count_steps(subjects, groups, components, shown) + len(PLOTS) + 1, progress)
    comparison = compare(subjects, names, groups, components=components, protocol=shown, seed=seed, steps=steps)
    drawn = []
    for plot in PLOTS:
        steps.start(f"drawing {plot.file}")
        drawn.append(draw(plot, comparison))
    steps.start("choosing images")
    images_shown = pictures(comparison.examples, seed=seed)
    steps.start("writing")
    folder = _new_folder(output, root)
    for figure in drawn:
        if figure.png is not None:
            write_file(folder / figure.plot.file, figure.png)
    return Report(comparison, write_file(folder / PAGE, report_page(comparison, drawn, images_shown)))


def _default_root(paths: list[str]) -> Path:
    """The folder in which the report's folder is made by default."""
    one_run = len(paths) == 1 and Path(paths[0]).suffix not in ARRAYS
    _, run = find_checkpoint(paths[0]) if one_run else (None, None)
    return run / "figures" if run else Path("collapse")


def _new_folder(output: str | None, root: Path) -> Path:
    try:
        if output is None:
            return folder_of_now(root)
        folder = Path(output)
        check_free(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    except OSError as error:
        raise InputError(f"output = {output or root}: {error}") from error
