"""A search as terminal tables, Markdown and one HTML page."""

from __future__ import annotations

from html import escape

from rich.console import Console
from rich.markup import escape as escape_markup
from rich.table import Table

from cplearn_solo import pages
from cplearn_solo.tuning.sheet import Block, Sheet

STYLE = """
th, td { padding: .25rem .8rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 2px solid #222; } tbody tr:nth-child(even) { background: #f4f4f4; }
pre { background: #f4f4f4; padding: .6rem; white-space: pre-wrap; overflow-wrap: anywhere; }
"""


def show(sheet: Sheet, console: Console, *, rows: int = 10) -> None:
    """Prints the sheet, of each table at most so many rows."""
    for block in sheet.blocks:
        table = Table(title=escape_markup(block.title), title_justify="left", show_edge=False)
        for i, heading in enumerate(block.header):
            table.add_column(escape_markup(heading), justify="right" if i else "left", no_wrap=i == 0)
        for row in block.rows[:rows]:
            table.add_row(*map(escape_markup, row))
        console.print(table, "")
    for note in sheet.notes:
        console.print(note, style="dim", markup=False, highlight=False)
    console.print(f"\n{sheet.best}", markup=False, highlight=False)


def markdown(sheet: Sheet, image: str) -> str:
    """The sheet as Markdown; ``image`` is a file beside it."""
    parts = [f"# {sheet.title}", sheet.best, f"![{sheet.title}]({image})"]
    for block in sheet.blocks:
        lines = [block.header, ["---", *["---:"] * (len(block.header) - 1)], *block.rows]
        table = "\n".join(f"| {' | '.join(entry.replace('|', chr(92) + '|') for entry in line)} |" for line in lines)
        parts.append(f"## {block.title}\n\n{table}")
    parts += [f"{about}:\n\n```\n{command}\n```" for about, command in _commands(sheet)]
    parts.append("\n".join(f"- {note}" for note in sheet.notes))
    return "\n\n".join(parts) + "\n"


def page(sheet: Sheet, image: bytes) -> str:
    """The sheet as one HTML page that needs nothing beside it; ``image`` is the content of a PNG file."""
    body = [f"<h1>{escape(sheet.title)}</h1>", f"<p>{escape(sheet.best)}</p>", pages.image(image, sheet.title)]
    body += [_html_block(block) for block in sheet.blocks]
    body += [f"<h2>{about}</h2>\n<pre>{escape(command)}</pre>" for about, command in _commands(sheet)]
    body.append("<ul>" + "".join(f"<li>{escape(note)}</li>" for note in sheet.notes) + "</ul>")
    return pages.page(sheet.title, "\n".join(body), style=STYLE)


def _commands(sheet: Sheet) -> list[tuple[str, str]]:
    commands = [("Train with the best keys", sheet.train), ("Make this search", sheet.search)]
    return [(about, command) for about, command in commands if command]


def _html_block(block: Block) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in block.header)
    rows = "\n".join(f"<tr>{''.join(f'<td>{escape(entry)}</td>' for entry in row)}</tr>" for row in block.rows)
    table = f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>"
    return f'<h2>{escape(block.title)}</h2>\n<div class="wide">{table}</div>'
