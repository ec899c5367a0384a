"""Lists of what there is to choose from."""

from __future__ import annotations

import inspect

from cplearn_solo.core.errors import InputError
from cplearn_solo.methods import METHODS, method_facts


def methods() -> None:
    """Methods, the first line of their file, and their ``method_kwargs`` with defaults."""
    for name in METHODS:
        try:
            facts = method_facts(name)
        except InputError as error:  # of another package, which cannot be imported
            print(f"{name}: {error}")
            continue
        print(f"{name}: {facts.summary}")
        for key, default in facts.defaults.items():
            print(f"    {key} = {default!r}")


def backbones() -> None:
    """Backbones by name."""
    from cplearn_solo.backbones import BACKBONES

    for name in sorted(BACKBONES):
        print(name)
    print("timm/<name>: any model of timm, for example timm/convnext_tiny")


def datasets() -> None:
    """Data sets by name."""
    from cplearn_solo.data import DATASETS

    for name, load in sorted(DATASETS.items()):
        print(f"{name}: {_first_line(load)}")


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]
