"""Backbones: images ``(n, c, h, w)`` to features ``(n, d)``, where d is the module's ``num_features``."""

from typing import TYPE_CHECKING

from cplearn_solo.core.lazy import lazy_imports

if TYPE_CHECKING:
    from cplearn_solo.backbones.catalog import BACKBONES, check_backbone
    from cplearn_solo.backbones.last_blocks import LastBlocks
    from cplearn_solo.backbones.registry import build_backbone

__getattr__, __all__ = lazy_imports(__file__)
