"""Our methods and ResNet-8 among those of solo-learn."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

from torch import nn

from cplearn_solo.backbones import build_backbone
from cplearn_solo.core.errors import InputError
from cplearn_solo.hosts.solo_learn.config import RESNET8
from cplearn_solo.hosts.solo_learn.hosted import Hosted
from cplearn_solo.hosts.solo_learn.script import NEEDED
from cplearn_solo.methods import METHODS


def register() -> list[str]:
    """Adds every method that solo-learn lacks to its ``METHODS``, and ResNet-8 to its backbones; returns the names.

    Each becomes a subclass of solo-learn's ``BaseMethod``, or of ``BaseMomentumMethod`` where it has a teacher. One of
    another package that cannot be imported is left out with a warning. Raises ``InputError`` where solo-learn is
    missing or another version.
    """
    solo = _solo()
    solo.base.BaseMethod._BACKBONES.setdefault(RESNET8, _resnet8)
    new = {}
    for name in METHODS:
        if name not in solo.METHODS:
            try:
                new[name] = METHODS[name]
            except InputError as error:
                warnings.warn(str(error), stacklevel=2)
    for name, method in new.items():
        base = solo.base.BaseMomentumMethod if method.teacher else solo.base.BaseMethod
        solo.METHODS[name] = type(method.__name__, (Hosted, base), {"name": name})
    return list(new)


def _solo() -> Any:
    """The module of solo-learn that has its ``METHODS`` and ``base``."""
    try:
        import solo.methods as methods
    except ModuleNotFoundError as error:
        if error.name and not error.name.startswith("solo"):
            raise InputError(f"solo-learn needs the package {error.name!r}: pip install {error.name}") from error
        raise InputError(NEEDED) from error
    except (ImportError, AttributeError, TypeError) as error:  # 1.0.2 on today's torch and Lightning
        raise InputError(f"this solo-learn cannot be used ({error}). {NEEDED}") from error
    base = getattr(methods, "base", None)
    if not isinstance(base, ModuleType) or not hasattr(getattr(base, "BaseMomentumMethod", None), "momentum_pairs"):
        raise InputError(f"this solo-learn cannot be used. {NEEDED}")
    if not hasattr(base.BaseMethod, "_BACKBONES"):
        raise InputError(f"this solo-learn is too old. {NEEDED}")
    return methods


def _resnet8(method: str, width: int = 128, **kwargs: Any) -> nn.Module:
    return build_backbone("resnet8", crop_size=32, width=width, **kwargs)
