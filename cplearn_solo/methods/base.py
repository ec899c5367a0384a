"""What a method is: everything that stands on top of a backbone, and nothing else.

A method knows no trainer, data set or device. Hosts (the built-in engine, others) compute features, hand them over as
:class:`Views` and minimise ``loss(views)["loss"]``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cplearn_solo.core.errors import InputError
from cplearn_solo.methods.registry import METHODS

__all__ = ["METHODS", "Method", "Progress", "Views", "frozen_statistics", "pixel_range"]


@dataclass(frozen=True)
class Progress:
    """Where a run stands: epochs and optimizer steps done, and how many there will be."""

    epoch: int
    epochs: int
    step: int
    steps: int


@dataclass(frozen=True)
class Views:
    """What a host hands to a method in one training step."""

    feats: list[Tensor]  # (n, d) per crop, large crops first, with gradient
    n_large: int
    progress: Progress
    teacher: list[Tensor] | None = None  # large crops through the EMA copy, no gradient
    images: list[Tensor] | None = None  # only if the class says needs_images
    pixel_range: tuple[Tensor, Tensor] | None = None  # normalised (low, high) per channel
    encode: Callable[[Tensor], Tensor] | None = None  # images -> feats, BatchNorm statistics frozen


class Method(nn.Module, ABC):
    """Base of all methods. Keywords of ``__init__`` are the method's ``method_kwargs``, checked by name and type.

    ``features_dim``: d, width of the backbone's features. ``batch_size``: n, images a device sees in one step, a
    constant of the run.
    """

    teacher: ClassVar[str | None] = None  # submodule that gets an EMA twin, e.g. "projector"
    multicrop: ClassVar[bool] = False  # takes more than two crops
    needs_images: ClassVar[bool] = False
    # several devices compute the loss of the whole batch ("global", by gathering embeddings) or each that of its own
    coupling: str = "global"

    def __init__(self, features_dim: int, *, batch_size: int) -> None:
        super().__init__()
        if batch_size < 2:
            raise InputError(f"batch_size = {batch_size}: BatchNorm in training needs at least 2 images")

    @abstractmethod
    def loss(self, views: Views) -> dict[str, Tensor]:
        """``"loss"`` and its parts as scalars, all logged; ``"codes"`` ``(n,)``, if there, counts codes in use."""

    def embed(self, feats: Tensor) -> Tensor:
        """Embeddings H ``(n, f)`` of features ``(n, d)``, for collapse analysis."""
        return self.projector(feats)

    def assign(self, feats: Tensor) -> Tensor | None:
        """Code of each sample ``(n,)``, or ``None`` for a method without codes."""
        return None

    @property
    def codes_total(self) -> int | None:
        """Number of codes that :meth:`assign` chooses from, or ``None``."""
        return None

    def code_entropies(self, feats: Tensor) -> tuple[Tensor, Tensor] | None:
        """Entropy of the mean assignment and mean entropy of assignments, scalars in nats; ``None`` without codes.

        Here each sample has one code: the entropy of the codes' shares, and 0. A method of soft codes overrides this.
        """
        codes = self.assign(feats)
        if codes is None:
            return None
        entropy = torch.special.entr(codes.bincount().to(feats.dtype) / len(codes)).sum()
        return entropy, torch.zeros_like(entropy)

    def forward(self, feats: Tensor) -> Tensor:
        """Output of the projector, for evaluation only."""
        return self.embed(feats)

    def param_groups(self) -> list[dict[str, Any]]:
        """Optimizer groups; one may set its own ``lr`` or ``weight_decay``, or ``static_lr`` against the schedule."""
        return [{"params": [p for p in self.parameters() if p.requires_grad]}]

    def check_ranks(self, ranks: int) -> None:
        """Raises ``InputError`` where the method cannot be trained on so many processes."""

    def before_step(self, progress: Progress) -> None:
        """Called before each forward pass."""

    def after_backward(self, progress: Progress) -> None:
        """Called between backward pass and optimizer step."""


def pixel_range(mean: Sequence[float], std: Sequence[float], *, device: Any = None) -> tuple[Tensor, Tensor]:
    """Lowest and highest value of a pixel after normalisation, each ``(1, channels, 1, 1)``."""
    mean, std = (torch.tensor(tuple(values), device=device).view(1, -1, 1, 1) for values in (mean, std))
    return (0 - mean) / std, (1 - mean) / std


@contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """While this lasts, BatchNorm in ``module`` uses its running statistics and leaves them as they are."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)
