"""Turns links of the repository into links of the site; files that they point to are added to the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = {
    r"docs/(.*)\.ipynb": r"\1.md",
    r"docs/(.*)": r"\1",
    r"cplearn_solo/methods/(\w+)\.py": r"methods/\1.md",
    r"cplearn_solo/(config|data)/schema\.py": "keys.md",
}
LINK = re.compile(r"(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")


def linked_from(pages: Mapping[str, str]) -> dict[str, Path]:
    """Files outside of ``docs/`` that pages link to, directly or through others, by their place on the site.

    ``pages``: text by place.
    """
    found: dict[str, Path] = {}
    waiting = list(pages.items())
    while waiting:
        page, text = waiting.pop()
        for _, target, _ in LINK.findall(text):
            path = _repository_path(page, target)
            if _place(path) == path and path not in found and (ROOT / path).is_file():
                found[path] = ROOT / path
                waiting += [(path, found[path].read_text(encoding="utf-8"))] if path.endswith(".md") else []
    return found


def rewritten(markdown: str, page: str) -> str:
    """The text of a page, with its links pointing to places on the site."""

    def link(match: re.Match[str]) -> str:
        path = _repository_path(page, match.group(2))
        if not (ROOT / path).is_file():
            return match.group(0)  # a generated page, or a mistake that MkDocs reports
        return match.group(1) + posixpath.relpath(_place(path), posixpath.dirname(page) or ".") + match.group(3)

    return LINK.sub(link, markdown)


def _repository_path(page: str, target: str) -> str:
    """The repository path of a link's target; pages are in ``docs/`` unless they were added from elsewhere."""
    at = f"docs/{page}" if (ROOT / "docs" / page).exists() or not (ROOT / page).exists() else page
    return posixpath.normpath(posixpath.join(posixpath.dirname(at), target))


def _place(path: str) -> str:
    """The place of a repository file on the site, where notebooks, methods and keys have pages."""
    for pattern, place in PAGES.items():
        if re.fullmatch(pattern, path):
            return re.sub(pattern, place, path)
    return path
