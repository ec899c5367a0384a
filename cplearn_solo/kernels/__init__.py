"""CPLearn's objective for dictionaries that are too large to multiply out."""

from cplearn_solo.kernels.objective import IMPLEMENTATIONS, Objective, objective
from cplearn_solo.kernels.packed import PackedDictionary

__all__ = ["IMPLEMENTATIONS", "Objective", "PackedDictionary", "objective"]
