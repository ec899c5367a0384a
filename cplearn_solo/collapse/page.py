"""The report as one HTML page that needs no other file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from html import escape
from itertools import groupby

from cplearn_solo.collapse.comparison import Comparison, Row
from cplearn_solo.collapse.figures import Drawn
from cplearn_solo.collapse.measures import Measurement
from cplearn_solo.metrics.verdict import Verdict
from cplearn_solo.pages import image, page

STYLE = """
th, td { padding: .25em .8em; text-align: left; vertical-align: top; border-bottom: 1px solid #ddd; }
td.value { text-align: right; white-space: nowrap; }
th.subject { text-align: right; min-width: 8em; }
tr.section { background: #f3f3f3; }
td.note, .absent, figcaption { color: #666; font-size: .9em; }
td.verdict { min-width: 11em; max-width: 22em; } td.note { min-width: 11em; }
.healthy { color: #00704f; font-weight: bold; } .collapsed { color: #b3001b; font-weight: bold; }
"""


def report_page(comparison: Comparison, drawn: list[Drawn]) -> str:
    """The whole page: verdicts, table, what was left out and why, figures."""
    figures = "\n".join(_figure(figure) for figure in drawn)
    body = f"""<h1>Collapse report</h1>
<div class="wide">{_verdicts(comparison)}</div>
<h2>Measures</h2>
<p>Z is the representation of the backbone, H the embeddings of the projector.
What was left out, and why, is below the table.{_about_groups(comparison)}</p>
<p>{escape(_dependence(measured(comparison.rows)))}</p>
<div class="wide">{_table(comparison)}</div>
{_left_out(comparison)}
{figures}"""
    return page(f"Collapse report: {', '.join(comparison.names)}", body, style=STYLE)


def absences(rows: list[Row], names: list[str]) -> list[tuple[str, str]]:
    """Measures that were left out, grouped by reason and subjects: ``(measures, why)``, as text."""
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
    """The number with four digits or all before the point, the spread of a group with two; a dash if there is none."""
    if cell.value is None:
        return "–"
    value = f"{cell.value:.4g}" if abs(cell.value) < 1e4 else f"{cell.value:.0f}"
    return value if cell.spread is None else f"{value} ± {cell.spread:.2g}"


def shown(cell: Measurement) -> str:
    """The number, and the largest that it could be."""
    return f"{number(cell)} of {cell.of:.4g}" if cell.value is not None and cell.of else number(cell)


def _dependence(rows: list[Row]) -> str:
    """Which measures a shift or a scale of the features would change."""
    known = [row for row in rows if row.follows is not None]
    shift, scale = (_listed(row for row in known if change in row.follows) for change in ("shift", "scale"))
    free = _listed(row for row in known if not row.follows)
    own = "" if len(known) == len(rows) else " Rows of a method are at its own scale."
    return (
        f"A shift of all features changes {shift}; a scale of all alike changes {scale}; neither changes any other "
        f"measure. The scale of single dimensions changes all but {free}.{own}"
    )


def _listed(rows: Iterable[Row]) -> str:
    """Titles, each once."""
    return ", ".join(dict.fromkeys(row.title for row in rows))


def _about_groups(comparison: Comparison) -> str:
    if len(comparison.groups) == len(comparison.subjects):
        return ""
    return (
        " Columns and curves are means over runs that differ in the seed alone, with their sample standard deviation "
        "(in a figure with a logarithmic axis, of logarithms); what has a panel of its own is drawn of each group's "
        "first run."
    )


def _verdicts(comparison: Comparison) -> str:
    rows = []
    for subject, name, verdict in zip(comparison.subjects, comparison.names, comparison.verdicts):
        word = f"{verdict.name} collapse" if verdict.collapsed else verdict.name
        rows.append(
            f'<tr><th>{escape(name)}<td class="{_kind(verdict)}">{escape(word)}'
            f'<td class="verdict">{escape(verdict.reason)}<td class="verdict">{escape(verdict.advice)}'
            f'<td class="note">{escape(subject.samples)}<br>{escape(str(subject.path))}'
        )
    head = "<tr><th><th>verdict<th>because<th>try<th>measured on"
    return f"<table>{head}{''.join(rows)}</table>"


def _kind(verdict: Verdict) -> str:
    return "collapsed" if verdict.collapsed else "healthy"


def _word(verdicts: list[Verdict]) -> str:
    """A cell with the verdict of a group, and how many of its runs have it where they differ."""
    counts = Counter(verdict.name for verdict in verdicts)
    kind = "collapsed" if any(verdict.collapsed for verdict in verdicts) else "healthy"
    words = next(iter(counts)) if len(counts) == 1 else ", ".join(f"{count} {name}" for name, count in counts.items())
    return f'<td class="value {kind}">{escape(words)}'


def _table(comparison: Comparison) -> str:
    heads = "".join(f'<th class="subject">{escape(name)}' for name in comparison.group_names)
    words = "".join(_word([comparison.verdicts[i] for i in group.members]) for group in comparison.groups)
    lines = [f"<tr><td>verdict{words}<td>"]
    for section, group in groupby(measured(comparison.rows), key=lambda row: row.section):
        lines.append(f'<tr class="section"><th>{escape(section)}<td colspan="{len(comparison.groups) + 1}">')
        for row in group:
            cells = "".join(f'<td class="value">{shown(cell)}' for cell in row.cells)
            lines.append(f'<tr><td>{escape(row.title)}{cells}<td class="note">{escape(row.note)}')
    return f"<table><tr><th>{heads}<th>{''.join(lines)}</table>"


def _left_out(comparison: Comparison) -> str:
    missing = absences(comparison.rows, comparison.group_names)
    items = "".join(f"<li>{escape(titles)} — <em>{escape(why)}</em>" for titles, why in missing)
    return f'<h2>Left out</h2><ul class="absent">{items}</ul>' if items else ""


def _figure(drawn: Drawn) -> str:
    title, about = escape(drawn.plot.title), escape(drawn.about)
    if drawn.png is None:
        return f'<h2>{title}</h2><p class="absent">Left out: {escape(drawn.reason)}.</p>'
    picture = image(drawn.png, alt=drawn.plot.title)
    return f"<h2>{title}</h2><figure>{picture}<figcaption>{about}</figcaption></figure>"
