"""CPLearn and its baselines: self-supervised representations that do not collapse, and scores that tell."""

from typing import TYPE_CHECKING

__version__ = "0.2.0"
__all__ = ["load_backbone"]

if TYPE_CHECKING:
    from cplearn_solo.engine.checkpoint import load_backbone


def __getattr__(name: str):
    if name == "load_backbone":  # imported on first use: the parts below it need no trainer
        from cplearn_solo.engine.checkpoint import load_backbone

        return load_backbone
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
