"""DINO's main script, run with a method of ours."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from cplearn_solo.hosts.dino.checkout import find


def run(script: str, method: str, method_kwargs: Mapping[str, Any], device: str, arguments: list[str]) -> None:
    """Runs DINO's ``script`` on its own ``arguments`` with ``method`` in the place of its head, loss and teacher."""
    path = find(script)

    from cplearn_solo.hosts.dino.substitutes import install  # which takes seconds

    sys.path.insert(0, str(path.parent))
    main = import_module(path.stem)
    install(main, method, method_kwargs, device)
    args = argparse.ArgumentParser(path.name, parents=[main.get_args_parser()]).parse_args(arguments)
    Path(args.output_dir).mkdir(parents=True, exist_ok=True)
    main.train_dino(args)
