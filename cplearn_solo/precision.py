"""Old name of :mod:`cplearn_solo.core.precision`, to be removed in the next release."""

from cplearn_solo.core.precision import at_least_float32 as full_precision
from cplearn_solo.core.precision import without_autocast

__all__ = ["full_precision", "without_autocast"]
