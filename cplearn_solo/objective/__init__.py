"""CPLearn's objective for dictionaries that are too large to hold as floats."""

from cplearn_solo.objective.interface import IMPLEMENTATIONS, KEPT_LOGITS_MB, Objective, check_shares, objective
from cplearn_solo.objective.packed import PackedDictionary

__all__ = ["IMPLEMENTATIONS", "KEPT_LOGITS_MB", "Objective", "PackedDictionary", "check_shares", "objective"]
