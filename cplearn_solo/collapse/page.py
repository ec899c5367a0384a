"""The report as one HTML page that needs nothing beside it."""

from __future__ import annotations

import base64
from collections import Counter
from html import escape
from itertools import groupby

from cplearn_solo.collapse.comparison import Comparison, Row
from cplearn_solo.collapse.figures import Drawn
from cplearn_solo.collapse.measures import Cell
from cplearn_solo.metrics.verdict import Verdict

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1200px; margin: 2em auto; padding: 0 1em; color: #222; }
h1 { font-size: 1.5em; } h2 { font-size: 1.2em; margin-top: 2em; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: .25em .8em; text-align: left; vertical-align: top; border-bottom: 1px solid #ddd; }
td.value { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
th.subject { text-align: right; min-width: 8em; }
tr.section th { background: #f3f3f3; }
td.note, .absent, figcaption { color: #666; font-size: .9em; }
td.verdict { max-width: 22em; }
.healthy { color: #00704f; font-weight: bold; } .collapsed { color: #b3001b; font-weight: bold; }
figure { margin: 1em 0; } img { max-width: 100%; height: auto; }
"""


def page(comparison: Comparison, drawn: list[Drawn]) -> str:
    """The whole page: verdicts, table, what was left out and why, figures."""
    names = [escape(name) for name in comparison.names]
    figures = "\n".join(_figure(figure) for figure in drawn)
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Collapse report: {", ".join(names)}</title>
<style>{STYLE}</style>
<h1>Collapse report</h1>
<div class="wide">{_verdicts(comparison, names)}</div>
<h2>Measures</h2>
<p>Z is the representation of the backbone, H the embeddings of the projector.
What was left out, and why, is below the table.</p>
<div class="wide">{_table(measured(comparison.rows), comparison.verdicts, names)}</div>
{_left_out(comparison.rows, names)}
{figures}
</html>
"""


def absences(rows: list[Row], names: list[str]) -> list[tuple[str, str]]:
    """Measures that were left out, grouped by reason and subjects: ``(measures, why)``."""
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
    """Titles of rows, or of their section where all of it is missing."""
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
    """Rows that at least one subject has a number in."""
    return [row for row in rows if any(cell.value is not None for cell in row.cells)]


def number(cell: Cell) -> str:
    """Four digits, or a dash where there is none."""
    return "–" if cell.value is None else f"{cell.value:.4g}"


def shown(cell: Cell) -> str:
    """A cell's number, and the largest it could be."""
    return f"{number(cell)} of {cell.of:.4g}" if cell.value is not None and cell.of else number(cell)


def _verdicts(comparison: Comparison, names: list[str]) -> str:
    rows = []
    for subject, name, verdict in zip(comparison.subjects, names, comparison.verdicts):
        word = f"{verdict.name} collapse" if verdict.collapsed else verdict.name
        advice = escape(verdict.advice) if verdict.collapsed else ""
        rows.append(
            f'<tr><th>{name}<td class="{_kind(verdict)}">{escape(word)}<td class="verdict">{escape(verdict.reason)}'
            f'<td class="verdict">{advice}<td class="note">{escape(subject.samples)}<br>{escape(str(subject.path))}'
        )
    head = "<tr><th><th>verdict<th>because<th>try<th>measured on"
    return f"<table>{head}{''.join(rows)}</table>"


def _kind(verdict: Verdict) -> str:
    return "collapsed" if verdict.collapsed else "healthy"


def _table(rows: list[Row], verdicts: list[Verdict], names: list[str]) -> str:
    heads = "".join(f'<th class="subject">{name}' for name in names)
    words = "".join(f'<td class="value {_kind(verdict)}">{escape(verdict.name)}' for verdict in verdicts)
    lines = [f"<tr><td>verdict{words}<td>"]
    for section, group in groupby(rows, key=lambda row: row.section):
        lines.append(f'<tr class="section"><th colspan="{len(names) + 2}">{escape(section)}')
        for row in group:
            cells = "".join(f'<td class="value">{shown(cell)}' for cell in row.cells)
            lines.append(f'<tr><td>{escape(row.title)}{cells}<td class="note">{escape(row.note)}')
    return f"<table><tr><th>{heads}<th>{''.join(lines)}</table>"


def _left_out(rows: list[Row], names: list[str]) -> str:
    items = "".join(f"<li>{escape(titles)} — <em>{escape(why)}</em>" for titles, why in absences(rows, names))
    return f'<h2>Left out</h2><ul class="absent">{items}</ul>' if items else ""


def _figure(drawn: Drawn) -> str:
    title, about = escape(drawn.plot.title), escape(drawn.plot.about)
    if drawn.png is None:
        return f'<h2>{title}</h2><p class="absent">Left out: {escape(drawn.reason)}.</p>'
    data = base64.b64encode(drawn.png).decode()
    image = f'<img alt="{title}" src="data:image/png;base64,{data}">'
    return f"<h2>{title}</h2><figure>{image}<figcaption>{about}</figcaption></figure>"
