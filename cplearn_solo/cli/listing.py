"""Lists of what there is to choose from."""

from __future__ import annotations

import inspect

from cplearn_solo.backbones import BACKBONES
from cplearn_solo.data import DATASETS
from cplearn_solo.methods import METHODS, method_arguments


def methods() -> None:
    """Methods, the first line of their file, and their ``method_kwargs`` with defaults."""
    for name, cls in sorted(METHODS.items()):
        print(f"{name}: {_first_line(inspect.getmodule(cls))}")
        parameters = inspect.signature(cls.__init__).parameters
        for key in method_arguments(cls):
            print(f"    {key} = {parameters[key].default!r}")


def backbones() -> None:
    """Backbones by name."""
    for name in sorted(BACKBONES):
        print(name)
    print("timm/<name>: any model of timm, for example timm/convnext_tiny")


def datasets() -> None:
    """Data sets by name."""
    for name, load in sorted(DATASETS.items()):
        print(f"{name}: {_first_line(load)}")


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]
