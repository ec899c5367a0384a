"""The DINO codebase as a host: our methods in place of its head, loss and teacher.

Works with ``main_dino.py`` of https://github.com/facebookresearch/dino, unmodified, as a plain checkout.
"""

from typing import TYPE_CHECKING

from cplearn_solo.core.lazy import lazy_imports

if TYPE_CHECKING:
    from cplearn_solo.hosts.dino.options import check_method, fitting_methods, parse_options
    from cplearn_solo.hosts.dino.patch import patched, write_patch
    from cplearn_solo.hosts.dino.script import run
    from cplearn_solo.hosts.dino.substitutes import install

__getattr__, __all__ = lazy_imports(__file__)
