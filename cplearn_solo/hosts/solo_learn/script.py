"""A script of a solo-learn checkout, run with our methods."""

from __future__ import annotations

import functools
import os
import runpy
import sys
from pathlib import Path
from typing import Any

from cplearn_solo.core.errors import require
from cplearn_solo.core.scripts import config_folder

TOP_K = 5
NEEDED = (
    "solo-learn 1.0.6 is needed: git clone https://github.com/vturrisi/solo-learn, then "
    "cplearn solo-learn solo-learn/main_pretrain.py ..."
)


def run(script: str, arguments: list[str]) -> None:
    """Runs the ``script`` of a solo-learn checkout with our methods registered; ``InputError`` if it is not one."""
    path = Path(script).resolve()
    found = path.is_file() and (path.parent / "solo").is_dir()
    require(found, "PATH", script, f"a script of a solo-learn checkout; {NEEDED}")
    sys.path.insert(0, str(path.parent))

    from cplearn_solo.hosts.solo_learn.hosted import register  # this import takes seconds

    register()
    _check_classes_of_linear_probes()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors are not wrapped; ours are one line
    sys.argv = [str(path), *_absolute_config_path(arguments)]
    runpy.run_path(str(path), run_name="__main__")


def _check_classes_of_linear_probes() -> None:
    """Makes solo-learn's linear probe raise ``InputError`` for fewer than five classes, for which its top-5 accuracy
    fails."""
    from solo.methods.linear import LinearModel

    build = LinearModel.__init__

    @functools.wraps(build)
    def checked(self: Any, backbone: Any, cfg: Any, *args: Any, **kwargs: Any) -> None:
        wanted = f"at least {TOP_K}, for solo-learn's top-{TOP_K} accuracy; cplearn linear evaluates such checkpoints"
        require(cfg.data.num_classes >= TOP_K, "data.num_classes", cfg.data.num_classes, wanted)
        build(self, backbone, cfg, *args, **kwargs)

    LinearModel.__init__ = checked


def _absolute_config_path(arguments: list[str]) -> list[str]:
    """Resolves a relative ``--config-path`` from the user's folder or ours; Hydra knows only the script's folder."""
    flags = ("--config-path", "-cp")
    fixed = []
    for before, argument in zip(["", *arguments], arguments):
        flag, equals, value = argument.partition("=")
        if flag in flags and equals:
            fixed.append(f"{flag}={config_folder(value) or value}")
        else:
            fixed.append(str(before in flags and config_folder(argument) or argument))
    return fixed
