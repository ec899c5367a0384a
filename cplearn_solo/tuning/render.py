"""A search as terminal tables, Markdown and one HTML page."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape as escape_markup
from rich.table import Table

from cplearn_solo.pages import render
from cplearn_solo.tuning.sheet import Sheet

ROWS = 10  # most rows of a table in a terminal


def show(sheet: Sheet, console: Console) -> None:
    """Prints the sheet with the first rows of each table."""
    for block in sheet.blocks:
        table = Table(title=escape_markup(block.title), title_justify="left", show_edge=False)
        for i, heading in enumerate(block.header):
            name = escape_markup(heading)
            table.add_column(name, justify="right" if i else "left", no_wrap=i == 0, overflow="fold")
        for row in block.rows[:ROWS]:
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
    """The sheet as one HTML page that needs no other file; ``image`` is the content of a PNG file."""
    return render("tune.html", title=sheet.title, sheet=sheet, commands=_commands(sheet), image=image)


def _commands(sheet: Sheet) -> list[tuple[str, str]]:
    commands = [("Train with the best keys", sheet.train), ("Make this search", sheet.search)]
    return [(about, command) for about, command in commands if command]
