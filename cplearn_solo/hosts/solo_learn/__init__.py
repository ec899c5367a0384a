"""solo-learn as a host: our methods and ResNet-8 under its trainer, augmentations and linear evaluation.

Works with solo-learn 1.0.6 from its repository, installed or as a plain checkout.
"""

from typing import TYPE_CHECKING

from cplearn_solo.core.lazy import lazy_imports

if TYPE_CHECKING:
    from cplearn_solo.hosts.solo_learn.hosted import register
    from cplearn_solo.hosts.solo_learn.script import run

__getattr__, __all__ = lazy_imports(__file__)
