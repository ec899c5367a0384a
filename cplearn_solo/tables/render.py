"""A sheet as terminal tables, Markdown, LaTeX and one HTML page."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape as escape_markup
from rich.table import Table

from cplearn_solo.pages import render
from cplearn_solo.tables.sheet import Block, Sheet

LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
}


def show(sheet: Sheet, console: Console) -> None:
    """Prints the sheet."""
    for block in sheet.blocks:
        table = Table(title=escape_markup(block.title), title_justify="left", show_edge=False)
        for i, heading in enumerate(block.header):
            table.add_column(escape_markup(heading), justify="right" if i else "left", no_wrap=i == 0)
        for i, line in enumerate(block.lines):
            table.add_row(*(_markup(*entry) for entry in line), end_section=i == 1)
        console.print(table, "")
    for note in sheet.notes:
        console.print(note, style="dim", markup=False, highlight=False)
    for failure in sheet.failures:
        console.print(failure, style="red", markup=False, highlight=False)


def markdown(sheet: Sheet, images: Iterable[str]) -> str:
    """The sheet as Markdown; ``images`` are files beside it."""
    parts = [f"# {sheet.title}"]
    for block in sheet.blocks:
        body = [[f"**{_cell(text)}**" if best else _cell(text) for text, best in line] for line in block.lines]
        rows = [map(_cell, block.header), ["---", *["---:"] * len(block.columns)], *body]
        parts.append(f"## {block.title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows))
    parts += [f"![{sheet.title}]({image})" for image in images]
    parts += ["\n".join(f"- {line}" for line in (*sheet.failures, *sheet.notes))]
    return "\n\n".join(parts) + "\n"


def latex(sheet: Sheet) -> str:
    r"""The sheet as LaTeX tables, which need ``\usepackage{booktabs}``."""
    comments = "".join(f"% {note}\n" for note in (*sheet.notes, *sheet.failures))
    return comments + "\n".join(_latex_block(sheet, block) for block in sheet.blocks)


def page(sheet: Sheet, images: Iterable[bytes]) -> str:
    """The sheet as one HTML page that needs no other file; ``images``: contents of PNG files."""
    return render("table.html", title=sheet.title, sheet=sheet, images=list(images))


def _markup(text: str, best: bool) -> str:
    return f"[bold]* {escape_markup(text)}[/]" if best else escape_markup(text)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _latex_block(sheet: Sheet, block: Block) -> str:
    def row(entries: list[tuple[str, bool]]) -> str:
        escaped = [(escape_latex(text), best) for text, best in entries]
        return "  " + " & ".join(rf"\textbf{{{text}}}" if best else text for text, best in escaped) + r" \\"

    body = [row(line) for line in block.lines]
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{escape_latex(f'{sheet.title}. {block.title}')}}}",
            rf"  \begin{{tabular}}{{l{'r' * len(block.columns)}}}",
            r"  \toprule",
            row([(heading, False) for heading in block.header]),
            r"  \midrule",
            *body[:2],
            r"  \midrule",
            *body[2:],
            r"  \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def escape_latex(text: str) -> str:
    """``text`` with LaTeX's special characters, and a few others that tables use, replaced by commands."""
    return "".join(LATEX.get(character, character) for character in text)
