"""Lists of the available methods, backbones and data sets."""

from __future__ import annotations

from cplearn_solo.core.errors import InputError
from cplearn_solo.methods import METHODS, method_facts


def methods() -> None:
    """Prints methods, the first line of their file, and their ``method_kwargs`` with defaults."""
    for name in METHODS:
        try:
            facts = method_facts(name)
        except InputError as error:  # a method of another package that cannot be imported
            print(f"{name}: {error}")
            continue
        print(f"{name}: {facts.summary}")
        for key in facts.arguments:
            print(f"    {key} = {facts.defaults[key]!r}" if key in facts.defaults else f"    {key} has no default")


def backbones() -> None:
    """Prints the names of backbones."""
    from cplearn_solo.backbones import BACKBONES

    for name in BACKBONES:
        print(name)
    print("timm/<name>: any model of timm, for example timm/convnext_tiny")


def datasets() -> None:
    """Prints data sets and what each is."""
    from cplearn_solo.data.sources import FILES

    for name, words in sorted(item for names in FILES.values() for item in names.items()):
        print(f"{name}: {words}")
