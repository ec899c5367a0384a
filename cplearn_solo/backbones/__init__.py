"""Backbones: images ``(n, 3, h, w)`` to features ``(n, d)``, d being the module's ``num_features``."""

from cplearn_solo.backbones.last_blocks import LastBlocks
from cplearn_solo.backbones.registry import BACKBONES, build_backbone

__all__ = ["BACKBONES", "LastBlocks", "build_backbone"]
