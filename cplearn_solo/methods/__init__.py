"""Methods, one file each; other packages add theirs through the entry-point group ``cplearn_solo.methods``."""

from typing import TYPE_CHECKING

from cplearn_solo.core.lazy import lazy_imports

if TYPE_CHECKING:
    from cplearn_solo.methods.base import Method, Progress, ReportMeasure, Views, frozen_statistics, pixel_range
    from cplearn_solo.methods.build import build_method
    from cplearn_solo.methods.catalog import MethodFacts, method_facts
    from cplearn_solo.methods.registry import METHODS
    from cplearn_solo.methods.teacher import teacher_of, without_dropout

__getattr__, __all__ = lazy_imports(__file__)
