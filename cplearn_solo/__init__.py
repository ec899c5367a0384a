"""CPLearn and its baselines: self-supervised representations that do not collapse, and scores that show it."""

from typing import TYPE_CHECKING

from cplearn_solo.core.lazy import lazy_imports

if TYPE_CHECKING:
    from cplearn_solo.inference.pretrained import load_backbone as load_backbone
    from cplearn_solo.interface.pretrain import pretrain as pretrain
    from cplearn_solo.interface.run import Run as Run

__version__ = "0.3.0"
__getattr__, __all__ = lazy_imports(__file__)
