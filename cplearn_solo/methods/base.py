"""What a method is: everything that stands on top of a backbone, and nothing else.

A method knows no trainer, data set or device. A host (the built-in engine, solo-learn, DINO) computes features, passes
them on as :class:`Views` and minimises ``loss(views)["loss"]``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from cplearn_solo.core.cached import cached_tensor
from cplearn_solo.core.errors import InputError, require
from cplearn_solo.methods.registry import METHODS
from cplearn_solo.methods.remedy import Remedy

if TYPE_CHECKING:
    from cplearn_solo.objective.packed import PackedDictionary

__all__ = ["METHODS", "Method", "Progress", "ReportMeasure", "Views", "frozen_statistics", "pixel_range"]


@dataclass(frozen=True)
class Progress:
    """Progress of a run: epochs and optimizer steps done, and their totals; the total of epochs may be a fraction."""

    epoch: int
    epochs: float
    step: int
    steps: int


@dataclass(frozen=True)
class Views:
    """What a method gets from its host in one training step."""

    feats: list[Tensor]  # (n, d) per crop, large crops first, with gradient
    n_large: int
    progress: Progress
    teacher: list[Tensor] | None = None  # the teacher's output for each large crop, without gradient
    # the next three only for a method with needs_images
    images: list[Tensor] | None = None  # (n, c, h, w) per crop
    pixel_range: tuple[Tensor, Tensor] | None = None  # normalised (low, high) per channel
    encode: Callable[[Tensor], Tensor] | None = None  # images -> feats, BatchNorm statistics frozen


class ReportMeasure(NamedTuple):
    """A row that one method adds to the collapse report, under the heading ``section``.

    ``compute(embeddings, codes, last)`` takes H ``(n, f)``, codes ``(n,)`` or ``None``, and the last row of the run's
    metrics.csv, empty without one. It raises ``InputError`` with the reason if there is no number.
    """

    section: str
    title: str
    note: str
    compute: Callable[[Tensor, Tensor | None, Mapping[str, float]], float]


class Method(nn.Module, ABC):
    """Base of all methods. Keywords of ``__init__`` are the method's ``method_kwargs``, checked by name and type.

    ``features_dim``: d, width of the backbone's features. ``batch_size``: n, images per device and step, a constant of
    the run.
    """

    teacher: ClassVar[str | None] = None  # submodule of which the host keeps an EMA copy, e.g. "projector"
    multicrop: ClassVar[bool] = False  # takes more than two crops
    needs_images: ClassVar[bool] = False
    # whether one step's loss can be replayed as a CUDA graph: it reads no number and no shape from the device, nothing
    # from ``views.progress``, and no attribute that changes except buffers; a subclass has to set it again
    capturable: bool = False
    # with several devices, each one computes the loss of the whole batch ("global") or of its own images ("device")
    loss_scope: Literal["global", "device"] = "global"
    # forward's scores divided by this are logits of codes
    code_temperature: float = 1.0
    # changes of this method's keys against a collapse, by measure of metrics.verdict.CRITERIA, likeliest first
    advice: ClassVar[Mapping[str, Sequence[Remedy]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.capturable = vars(cls).get("capturable", False)
        if "coupling" in vars(cls):
            cls.loss_scope = cls.coupling
            del cls.coupling

    def __init__(self, features_dim: int, *, batch_size: int) -> None:
        super().__init__()
        require(batch_size >= 2, "batch_size", batch_size, "at least 2, for BatchNorm in training")

    @property
    def coupling(self) -> str:
        """Old name of ``loss_scope``, for subclasses; it will be removed in the next release."""
        return self.loss_scope

    @coupling.setter
    def coupling(self, value: str) -> None:
        self.loss_scope = value

    @abstractmethod
    def loss(self, views: Views) -> dict[str, Tensor]:
        """``"loss"`` and its parts as scalars, all logged; optional ``"codes"`` ``(n,)``, whose use is counted."""

    def embed(self, feats: Tensor) -> Tensor:
        """Embeddings H ``(n, f)`` of features ``(n, d)``, for collapse analysis."""
        return self.projector(feats)

    def assign(self, feats: Tensor) -> Tensor | None:
        """Code of each sample ``(n,)``, the one with the largest score; ``None`` for a method without codes."""
        return None if self.codes_total is None else self(feats).argmax(dim=1)

    def assign_with_confidence(self, feats: Tensor) -> tuple[Tensor, Tensor] | None:
        """Code of each sample and the probability of that code, each ``(n,)``, or ``None`` without codes.

        If forward does not return one score per code, the probability is 1.
        """
        codes = self.assign(feats)
        if codes is None:
            return None
        scores = self(feats).float()
        if scores.shape[1] != self.codes_total:
            return codes, scores.new_ones(len(codes))
        p = (scores / self.code_temperature).softmax(dim=1)
        return codes, p.gather(1, codes[:, None])[:, 0]

    def released_codes(self, feats: Tensor, codes: Tensor | None) -> Tensor:
        """The code of each sample ``(n,)`` as CPLearn's released scripts compute it, for every method.

        It is the index of the largest entry of what solo-learn calls ``z``: the logits of the codes, or the embedding
        of a method without codes. A method with another z overrides this. ``codes``: the result of :meth:`assign`.
        """
        return self.embed(feats).argmax(dim=1) if codes is None else codes

    @property
    def codes_total(self) -> int | None:
        """Number of codes that :meth:`assign` chooses from, or ``None``."""
        return None

    def code_entropies(self, feats: Tensor) -> tuple[Tensor, Tensor] | None:
        """Entropy of the mean assignment and mean entropy of assignments, scalars in nats; ``None`` without codes.

        By default each sample is assigned to its code with certainty, so the second is 0. A method with soft
        assignments overrides this.
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
        """Optimizer groups; one may set its own ``lr``, ``weight_decay``, or ``static_lr`` for a constant rate."""
        return [{"params": [p for p in self.parameters() if p.requires_grad]}]

    def check_submodules(self) -> None:
        """Raises ``InputError`` if a submodule is missing that a host uses."""
        name = type(self).__name__
        if self.teacher and not hasattr(self, self.teacher):
            raise InputError(f"{name}: teacher = {self.teacher!r}: must be the name of one of its submodules")
        if type(self).embed is Method.embed and not hasattr(self, "projector"):
            raise InputError(f"{name} has no projector: it must override embed(feats), which gives embeddings (n, f)")

    def check_ranks(self, ranks: int) -> None:
        """Raises ``InputError`` if the method cannot be trained on ``ranks`` processes."""

    def check_device(self, device: torch.device) -> None:
        """Raises ``InputError`` if the method cannot be trained on ``device`` with its keywords."""

    def before_step(self, progress: Progress) -> None:
        """Called before each forward pass."""

    def after_backward(self, progress: Progress) -> None:
        """Called between backward pass and optimizer step."""

    def report_measures(self) -> list[ReportMeasure]:
        """Rows that this method adds to the collapse report."""
        return []

    @property
    def dictionary(self) -> PackedDictionary | None:
        """Fixed codes that embeddings are assigned to, for the collapse report's figure, or ``None``."""
        return None


def pixel_range(mean: Sequence[float], std: Sequence[float], *, device: Any = None) -> tuple[Tensor, Tensor]:
    """Lowest and highest value of a pixel after normalisation, each ``(1, channels, 1, 1)``."""
    device = torch.device(device or "cpu")
    mean, std = (
        cached_tensor(tuple(values), dtype=torch.float32, device=device).view(1, -1, 1, 1) for values in (mean, std)
    )
    return (0 - mean) / std, (1 - mean) / std


@contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """Inside the block, BatchNorm in ``module`` uses its running statistics and leaves them as they are.

    Parts that were in evaluation mode before, such as a network that a method compares with, stay in it.
    """
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
