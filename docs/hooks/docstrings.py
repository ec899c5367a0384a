"""Docstrings of the package as Markdown: roles such as ``:func:`name``` become links if the site has a target."""

from __future__ import annotations

import re
from typing import Any

from griffe import AliasResolutionError, Extension, NameResolutionError, Object

ROLE = re.compile(r":\w+:`(?:~?([\w.]+))`")


class Docstrings(Extension):
    """Rewrites each docstring as it is loaded."""

    def on_package(self, *, pkg: Any, **_: Any) -> None:
        """Runs when the names of the whole package are known."""
        self._rewrite(pkg)

    def _rewrite(self, node: Any) -> None:
        if node.is_alias:
            return
        if node.docstring:
            node.docstring.value = markdown(node.docstring.value, node)
        for member in node.members.values():
            self._rewrite(member)


def markdown(text: str, node: Object) -> str:
    """The text with links for its roles, if the site documents their targets."""

    def link(match: re.Match[str]) -> str:
        name = match.group(1)
        shown = f"<code>{name.rpartition('.')[2]}</code>"
        try:
            return f'<autoref optional identifier="{node.resolve(name)}">{shown}</autoref>'
        except (NameResolutionError, AliasResolutionError):
            return shown

    text = ROLE.sub(link, text)
    text = re.sub(r"^>>>.*?(?=\n\n|\Z)", r"```pycon\n\g<0>\n```", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"::$", ":", text, flags=re.MULTILINE)
