"""Notebooks as pages: text unchanged, code in blocks, and printed output if the notebook has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TUTORIALS = Path(__file__).parents[1] / "tutorials"


def pages() -> dict[str, str]:
    """A page for each notebook of ``docs/tutorials``, as Markdown by its place on the site."""
    return {f"tutorials/{path.stem}.md": page(path) for path in sorted(TUTORIALS.glob("*.ipynb"))}


def page(path: Path) -> str:
    """A notebook as Markdown, with a link to download its file."""
    title, *cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    download = f"[Download the notebook]({path.name}){{: download}}\n"
    return "\n\n".join([_text(title), download, *map(_text, cells)])


def _text(cell: dict[str, Any]) -> str:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return source
    printed = ("".join(output.get("text", ())) for output in cell["outputs"])
    return "\n\n".join([f"```python\n{source}\n```", *(f"```text\n{text.rstrip()}\n```" for text in printed if text)])
