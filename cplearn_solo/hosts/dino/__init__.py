"""The DINO codebase as a host: our methods in the place of its head, loss and teacher.

Works with ``main_dino.py`` of https://github.com/facebookresearch/dino, unmodified, as a plain checkout.
"""

from cplearn_solo.hosts.dino.script import run, write_patch
from cplearn_solo.hosts.dino.substitutes import check_method, fitting_methods, install

__all__ = ["check_method", "fitting_methods", "install", "run", "write_patch"]
