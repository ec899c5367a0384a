"""Names of the backbones; the code that builds one is imported when its name is looked up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cplearn_solo.core.errors import unknown
from cplearn_solo.core.registry import Registry

if TYPE_CHECKING:
    from torch import nn

OURS = ("resnet18", "resnet34", "resnet50", "resnet8", "vit_base", "vit_small", "vit_tiny")


def check_backbone(name: str) -> None:
    """Raises ``InputError`` for a name that is neither registered nor one of ``timm/...``, which timm itself checks."""
    if not name.startswith("timm/") and name not in BACKBONES:
        raise unknown("backbone", name, BACKBONES)


def _importers() -> dict[str, Callable[[], Any]]:
    return {name: partial(import_module, f"{__package__}.registry") for name in OURS}


BACKBONES: Registry[Callable[..., nn.Module]] = Registry("backbone", find=_importers)
