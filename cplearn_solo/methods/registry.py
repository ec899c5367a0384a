"""Methods by name: files of this folder and entry points of other packages, imported when they are looked up."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from cplearn_solo.core.errors import InputError
from cplearn_solo.core.messages import Notice
from cplearn_solo.core.registry import Registry
from cplearn_solo.core.signatures import registered_classes

if TYPE_CHECKING:
    from cplearn_solo.methods.base import Method

HERE = Path(__file__).parent
GROUP = "cplearn_solo.methods"  # of entry points


def _importers() -> dict[str, Callable[[], type[Method] | None]]:
    """Functions that import each method; an outside package cannot replace a method of this package."""
    outside: dict[str, dict[str, EntryPoint]] = defaultdict(dict)
    for plugin in entry_points(group=GROUP):
        outside[plugin.name][plugin.value] = plugin
    ours = {
        name: partial(_import, f"{__package__}.{path.stem}", name, list(outside.get(name, ())))
        for path in sorted(HERE.glob("*.py"))
        for name in registered_classes(path, "METHODS")
    }
    return {**{name: partial(_load, list(plugins.values())) for name, plugins in outside.items()}, **ours}


def _import(module: str, name: str, passed_over: list[str]) -> None:
    import_module(module)  # which registers it
    if passed_over:
        told = f"method = {name!r} is the one of this package, not {', '.join(passed_over)}, which needs another name"
        warnings.warn(told, Notice, stacklevel=2)


def _load(plugins: list[EntryPoint]) -> type[Method]:
    name, value = plugins[0].name, plugins[0].value
    if len(plugins) > 1:
        several = ", ".join(sorted(plugin.value for plugin in plugins))
        raise InputError(f"method = {name!r}: several packages have one of that name: {several}")
    try:
        found = plugins[0].load()
        found = METHODS.loaded(name) or found  # a module may have registered it
    except (Exception, SystemExit) as error:  # an outside package may raise anything, and argparse exits
        raise InputError(f"method = {name!r}: {value} cannot be imported: {error}") from error

    from cplearn_solo.methods.base import Method  # which imports this file

    if not (isinstance(found, type) and issubclass(found, Method)):
        raise InputError(f"method = {name!r}: {value} is no subclass of cplearn_solo.methods.Method")
    return found


METHODS: Registry[type[Method]] = Registry("method", find=_importers)
