"""Old name of :mod:`cplearn_solo.objective`, to be removed in the next release."""

from cplearn_solo.objective import IMPLEMENTATIONS, KEPT_LOGITS_MB, Objective, PackedDictionary, check_shares, objective

__all__ = ["IMPLEMENTATIONS", "KEPT_LOGITS_MB", "Objective", "PackedDictionary", "check_shares", "objective"]
