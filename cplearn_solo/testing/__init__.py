"""What every method promises, checked on real digits: call :func:`check_method` on a method of your own."""

from typing import TYPE_CHECKING

from cplearn_solo.core.lazy import lazy_imports

if TYPE_CHECKING:
    from cplearn_solo.testing.check import check_method

__getattr__, __all__ = lazy_imports(__file__)
