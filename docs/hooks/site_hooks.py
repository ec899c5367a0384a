"""Functions that MkDocs calls while it builds the site: they add generated pages, and targets outside of ``docs/``."""

from __future__ import annotations

from functools import cache
from typing import Any

import key_pages
import links
import method_pages
import notebooks
import reference_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

START = "README.md"  # the first page of the site
GENERATORS = (method_pages, key_pages, reference_pages, notebooks)  # each has pages(): Markdown by place


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts generated pages into the navigation."""
    config.nav = [one for item in config.nav or () for one in _expanded(item)]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the first page, generated pages, and files outside of ``docs/`` to which pages link."""
    files.append(File.generated(config, START, abs_src_path=str(links.ROOT / START)))
    for place, text in _generated().items():
        files.append(File.generated(config, place, content=text))
    texts = {file.src_uri: file.content_string for file in files.documentation_pages()}
    for place, path in links.linked_from(texts).items():
        files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turns links of the repository into links of the site."""
    return links.rewritten(markdown, page.file.src_uri)


@cache
def _generated() -> dict[str, str]:
    return {place: text for generator in GENERATORS for place, text in generator.pages().items()}


def _expanded(item: Any) -> list[Any]:
    """An item of the navigation, or the list of all generated pages in ``item/``."""
    if isinstance(item, dict):
        ((title, value),) = item.items()
        items = [one for part in (value if isinstance(value, list) else [value]) for one in _expanded(part)]
        return [{title: items[0] if [value] == items else items}]
    return [place for place in _generated() if place.startswith(item)] if item.endswith("/") else [item]
