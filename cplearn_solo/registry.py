"""Old name of :mod:`cplearn_solo.core.errors` and :mod:`cplearn_solo.core.registry`, to be removed in the next
release."""

from cplearn_solo.core.errors import InputError, UnknownName, unknown
from cplearn_solo.core.registry import Registry

__all__ = ["InputError", "Registry", "UnknownName", "unknown"]
