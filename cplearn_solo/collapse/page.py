"""The report as one HTML page that needs no other file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby

from cplearn_solo.album.sheets import COLUMNS, SIDE
from cplearn_solo.collapse.comparison import Comparison, Row
from cplearn_solo.collapse.figures import Drawn
from cplearn_solo.collapse.limits import LIMIT, bars
from cplearn_solo.collapse.measures import Measurement
from cplearn_solo.collapse.pictures import Pictures
from cplearn_solo.core.numbers import digits
from cplearn_solo.core.words import HEALTHY, TOO_EARLY
from cplearn_solo.metrics.verdict import Verdict
from cplearn_solo.pages import render


def report_page(comparison: Comparison, drawn: list[Drawn], pictures: Pictures) -> str:
    """The whole page: verdicts with their measures, figures, images; folded: the table and what is left out."""
    subjects = zip(comparison.subjects, comparison.names, comparison.verdicts)
    rows = measured(comparison.rows)
    return render(
        "collapse.html",
        title=f"Collapse report: {', '.join(comparison.names)}",
        cards=[
            {
                "name": name,
                "verdict": verdict,
                "colour": colour(verdict),
                "bars": bars(verdict),
                "samples": of.samples,
                "path": of.path,
            }
            for of, name, verdict in subjects
        ],
        limit=LIMIT,
        shown=[figure for figure in drawn if figure.png and figure.plot.opening],
        folded=[figure for figure in drawn if figure.png and not figure.plot.opening],
        views=pictures.views,
        names=pictures.names,
        sheets=pictures.sheets,
        columns=COLUMNS,
        side=SIDE,
        groups=comparison.group_names,
        words=[_word([comparison.verdicts[i] for i in group.members]) for group in comparison.groups],
        sections=[(section, _texts(group)) for section, group in groupby(rows, key=lambda row: row.section)],
        about_groups=_about_groups(comparison),
        dependence=_dependence(rows),
        left_out=[
            *absences(comparison.rows, comparison.group_names),
            *((figure.plot.title, figure.reason) for figure in drawn if not figure.png),
            *_without_images(comparison),
        ],
    )


def absences(rows: list[Row], names: list[str]) -> list[tuple[str, str]]:
    """Left-out measures, grouped by reason and subjects, as text: ``(measures, reason)``."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        reasons: dict[str, list[str]] = {}
        for name, cell in zip(names, row.cells):
            if cell.value is None:
                reasons.setdefault(cell.reason, []).append(name)
        for reason, missing in reasons.items():
            whose = "" if len(missing) == len(names) else f"{', '.join(missing)}: "
            found.setdefault((whose, reason), []).append(row)
    return [(_titles(missing, rows), f"{whose}{reason}") for (whose, reason), missing in found.items()]


def _without_images(comparison: Comparison) -> list[tuple[str, str]]:
    """Which subjects have no images to show, and why."""
    names = [name for subject, name in comparison.examples if subject.images is None]
    return [("Images", f"{', '.join(names)}: a file of features does not tell its images")] if names else []


def _titles(missing: list[Row], rows: list[Row]) -> str:
    """Titles of the missing rows, or of their section if all of its rows are missing."""
    shared = {title for title, count in Counter(row.title for row in rows).items() if count > 1}
    titles = []
    for section, group in groupby(missing, key=lambda row: row.section):
        group = list(group)
        if len(group) == sum(row.section == section for row in rows):
            titles.append(f"all of “{section}”")
        else:
            titles += [f"{row.title} ({section})" if row.title in shared else row.title for row in group]
    return ", ".join(titles)


def measured(rows: list[Row]) -> list[Row]:
    """Rows in which at least one subject has a number."""
    return [row for row in rows if any(cell.value is not None for cell in row.cells)]


def number(cell: Measurement) -> str:
    """The number with four digits, and the spread of a group with two; a dash if there is no number."""
    if cell.value is None:
        return "–"
    value = digits(cell.value, 4)
    return value if cell.spread is None else f"{value} ± {digits(cell.spread, 2)}"


def shown(cell: Measurement) -> str:
    """The number, and its largest possible value."""
    return f"{number(cell)} of {digits(cell.of, 4)}" if cell.value is not None and cell.of else number(cell)


def _dependence(rows: list[Row]) -> str:
    """A text on which measures a shift or a scaling of the features would change."""
    known = [row for row in rows if row.follows is not None]
    shift, scale = (_listed(row for row in known if change in row.follows) for change in ("shift", "scale"))
    free = _listed(row for row in known if not row.follows)
    own = "" if len(known) == len(rows) else " Rows that a method adds are measured at that method's own scale."
    return (
        f"Adding one vector to all features changes {shift}. Multiplying all features by one number changes {scale}. "
        f"Neither changes any other measure. Scaling single dimensions changes all measures except {free}.{own}"
    )


def _listed(rows: Iterable[Row]) -> str:
    """Titles, each once."""
    return ", ".join(dict.fromkeys(row.title for row in rows))


def _about_groups(comparison: Comparison) -> str:
    if len(comparison.groups) == len(comparison.subjects):
        return ""
    return (
        " Columns and curves are means and sample standard deviations over runs that differ only in the seed (of "
        "logarithms, in figures with a logarithmic axis). Panels of single runs, and images, are those of each group's "
        "first run."
    )


def colour(verdict: Verdict) -> str:
    """The CSS class of its colour: good, bad, or open if it is too early to tell."""
    return {HEALTHY: "good", TOO_EARLY: "open"}.get(verdict.name, "bad")


def _word(verdicts: list[Verdict]) -> tuple[str, str]:
    """The verdict of a group, or its different verdicts with their counts, and the colour of the worst one."""
    counts = Counter(verdict.name for verdict in verdicts)
    words = next(iter(counts)) if len(counts) == 1 else ", ".join(f"{count} {name}" for name, count in counts.items())
    return words, min(map(colour, verdicts), key=("bad", "open", "good").index)


def _texts(rows: Iterable[Row]) -> list[tuple[str, list[str], str]]:
    """Title, cells and note of each row."""
    return [(row.title, [shown(cell) for cell in row.cells], row.note) for row in rows]
