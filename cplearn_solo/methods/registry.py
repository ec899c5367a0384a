"""Methods by name: files of this folder and entry points of other packages, imported when they are looked up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from cplearn_solo.core.errors import InputError
from cplearn_solo.core.registry import Registry
from cplearn_solo.core.signatures import registered_classes

if TYPE_CHECKING:
    from cplearn_solo.methods.base import Method

HERE = Path(__file__).parent
GROUP = "cplearn_solo.methods"  # of entry points


def _importers() -> dict[str, Callable[[], type[Method] | None]]:
    """Functions that import each method; an outside package cannot replace a method of this package."""
    outside = {plugin.name: partial(_load, plugin) for plugin in entry_points(group=GROUP)}
    ours = {
        name: partial(_import, f"{__package__}.{path.stem}")
        for path in sorted(HERE.glob("*.py"))
        for name in registered_classes(path, "METHODS")
    }
    return {**outside, **ours}


def _import(module: str) -> None:
    import_module(module)  # which registers it


def _load(plugin: EntryPoint) -> type[Method]:
    try:
        return plugin.load()
    except Exception as error:  # an outside package may raise anything
        raise InputError(f"method = {plugin.name!r}: {plugin.value} cannot be imported: {error}") from error


METHODS: Registry[type[Method]] = Registry("method", find=_importers)
