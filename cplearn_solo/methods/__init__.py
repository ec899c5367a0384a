"""Methods, one file each; outside packages add theirs through the entry-point group ``cplearn_solo.methods``."""

import warnings
from importlib.metadata import entry_points

from cplearn_solo.methods import barlow_twins, byol, cplearn  # noqa: F401 - importing a method registers it
from cplearn_solo.methods.base import METHODS, Method, Progress, Views, build_method, method_arguments

for _plugin in entry_points(group="cplearn_solo.methods"):
    try:
        _method = _plugin.load()
        if _plugin.name not in METHODS:  # it may have registered itself on import
            METHODS.register(_plugin.name)(_method)
    except Exception as error:  # a broken plugin must not take the built-in methods along
        warnings.warn(f"method {_plugin.name!r} of {_plugin.value} could not be loaded: {error}", stacklevel=1)

__all__ = ["METHODS", "Method", "Progress", "Views", "build_method", "method_arguments"]
