"""What a method is: everything that stands on top of a backbone, and nothing else.

A method knows no trainer, data set or device. Hosts (the built-in engine, others) compute features, hand them over as
:class:`Views` and minimise ``loss(views)["loss"]``.
"""

from __future__ import annotations

import inspect
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Union

import torch
from torch import Tensor, nn

from cplearn_solo.registry import InputError, Registry, unknown

METHODS: Registry[type[Method]] = Registry("method")


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


def build_method(name: str, features_dim: int, *, batch_size: int, method_kwargs: Mapping[str, Any]) -> Method:
    """The method registered as ``name``; ``InputError`` for an unknown name or keyword or a value of wrong type."""
    cls = METHODS[name]
    allowed = method_arguments(cls)
    for key, value in method_kwargs.items():
        if key not in allowed:
            raise unknown(f"key of {name}'s method_kwargs", key, allowed)
        check_type(f"method_kwargs.{key}", value, allowed[key])
    return cls(features_dim, batch_size=batch_size, **method_kwargs)


def method_arguments(cls: type[Method]) -> dict[str, Any]:
    """Names and types of a method's ``method_kwargs``, read from its ``__init__``."""
    hints = typing.get_type_hints(cls.__init__)
    parameters = inspect.signature(cls.__init__).parameters.values()
    keyword_only = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "batch_size"]
    return {name: hints.get(name, Any) for name in keyword_only}


def check_type(key: str, value: Any, expected: Any) -> None:
    """``InputError`` unless ``value`` fits the annotation (plain types, lists, ``Literal`` and unions of them)."""
    origin = typing.get_origin(expected)
    if origin is Literal:
        if value not in typing.get_args(expected):
            raise unknown(key, value, map(str, typing.get_args(expected)))
    elif not _fits(value, expected):
        raise InputError(f"{key} = {value!r}: must be of type {_type_name(expected)}")


def _type_name(expected: Any) -> str:
    if typing.get_origin(expected) in (Union, types.UnionType):
        return " or ".join(_type_name(arg) for arg in typing.get_args(expected))
    if typing.get_origin(expected) is Literal:
        return " or ".join(map(repr, typing.get_args(expected)))
    return getattr(expected, "__name__", str(expected)) if typing.get_origin(expected) is None else str(expected)


def _fits(value: Any, expected: Any) -> bool:
    origin, args = typing.get_origin(expected), typing.get_args(expected)
    if expected is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_fits(value, arg) for arg in args)
    if origin is Literal:
        return value in args
    if origin is list:
        return isinstance(value, list) and all(_fits(item, args[0]) for item in value)
    if expected is None or expected is type(None):
        return value is None
    if isinstance(value, bool):
        return expected is bool
    return isinstance(value, (int, float) if expected is float else expected)
