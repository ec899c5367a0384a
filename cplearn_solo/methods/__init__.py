"""Methods, one file each; outside packages add theirs through the entry-point group ``cplearn_solo.methods``."""

import pkgutil
import warnings
from importlib import import_module
from importlib.metadata import entry_points

from cplearn_solo.methods.base import (
    METHODS,
    Method,
    Progress,
    Views,
    build_method,
    frozen_statistics,
    method_arguments,
    pixel_range,
)

for _file in pkgutil.iter_modules(__path__):  # importing a method registers it
    import_module(f"{__name__}.{_file.name}")

for _plugin in entry_points(group="cplearn_solo.methods"):
    try:
        _method = _plugin.load()
        if _plugin.name not in METHODS:  # it may have registered itself on import
            METHODS.register(_plugin.name)(_method)
    except Exception as error:  # a broken plugin must not take the built-in methods along
        warnings.warn(f"method {_plugin.name!r} of {_plugin.value} could not be loaded: {error}", stacklevel=1)

__all__ = [
    "METHODS",
    "Method",
    "Progress",
    "Views",
    "build_method",
    "frozen_statistics",
    "method_arguments",
    "pixel_range",
]
