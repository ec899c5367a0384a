"""Our methods and ResNet-8 as solo-learn's own."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any, ClassVar

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from cplearn_solo.backbones import build_backbone
from cplearn_solo.config.read import parse_config
from cplearn_solo.config.solo_learn import note_activation
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.messages import Notice
from cplearn_solo.data import IMAGENET_MEAN, IMAGENET_STD, NORMALISATION
from cplearn_solo.engine.checkpoint import checkpoint_entry
from cplearn_solo.hosts.solo_learn.config import RESNET8, our_config
from cplearn_solo.hosts.solo_learn.script import NEEDED
from cplearn_solo.methods import (
    METHODS,
    Progress,
    Views,
    build_method,
    frozen_statistics,
    pixel_range,
    teacher_of,
    without_dropout,
)
from cplearn_solo.methods.build import method_keys_named
from cplearn_solo.methods.parts import checked_parts

LOGITS_UP_TO = 16_384  # codes; with more of them solo-learn's "z" is the embedding instead of the logits


def register() -> list[str]:
    """Adds every method that solo-learn lacks to its ``METHODS``, and ResNet-8 to its backbones; returns the names.

    Each becomes a subclass of solo-learn's ``BaseMethod``, or of ``BaseMomentumMethod`` where it has a teacher. A
    method of another package that cannot be imported is left out with a warning. Raises ``InputError`` if solo-learn is
    missing or has another version.
    """
    solo = _solo()
    solo.base.BaseMethod._BACKBONES.setdefault(RESNET8, _resnet8)
    new = {}
    for name in METHODS:
        if name not in solo.METHODS:
            try:
                new[name] = METHODS[name]
            except InputError as error:
                warnings.warn(str(error), Notice, stacklevel=2)
    for name, method in new.items():
        base = solo.base.BaseMomentumMethod if method.teacher else solo.base.BaseMethod
        solo.METHODS[name] = type(method.__name__, (Hosted, base), {"name": name})
    return list(new)


class Hosted:
    """Turns a method of ours into one of solo-learn's; it precedes solo-learn's base class."""

    name: ClassVar[str]

    def __init__(self, cfg: Any) -> None:
        theirs = OmegaConf.to_container(cfg, resolve=True)
        note_activation(theirs)
        config = parse_config(our_config(theirs))
        super().__init__(cfg)
        self.our_config = config
        self.method = build_method(
            self.name,
            self.features_dim,
            batch_size=config.optimizer.batch_size,
            method_kwargs=config.method_kwargs,
        )
        self.method.check_submodules()
        if self.method.teacher:
            without_dropout(self.momentum_backbone)
            self.momentum_head = teacher_of(self._online_head)
        first = cfg.augmentations[0]
        given = first.get("mean", IMAGENET_MEAN), first.get("std", IMAGENET_STD)
        self.statistics = NORMALISATION.get(cfg.data.dataset, given)

    @property
    def _online_head(self) -> nn.Module:
        return getattr(self.method, self.method.teacher)

    @property
    def learnable_params(self) -> list[dict[str, Any]]:
        groups = [{"name": f"{self.name}_{i}", **group} for i, group in enumerate(self.method.param_groups())]
        return [*super().learnable_params, *groups]

    @property
    def momentum_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        return [*super().momentum_pairs, (self._online_head, self.momentum_head)]

    def on_fit_start(self) -> None:
        super().on_fit_start()
        with method_keys_named(self.name):
            self.method.check_ranks(self.trainer.world_size)
            self.method.check_device(self.trainer.strategy.root_device)

    def forward(self, X: Tensor) -> dict[str, Any]:
        """solo-learn's outputs; in evaluation also ``z``, logits for up to 16,384 codes, else embeddings."""
        out = super().forward(X)
        if not self.training:  # in training, the loss computes it once
            logits = (self.method.codes_total or 0) <= LOGITS_UP_TO
            out["z"] = self.method(out["feats"]) if logits else self.method.embed(out["feats"])
        return out

    @torch.no_grad()
    def momentum_forward(self, X: Tensor) -> dict[str, Any]:
        out = super().momentum_forward(X)
        return {**out, "z": self.momentum_head(out["feats"])}

    def training_step(self, batch: list[Any], batch_idx: int) -> Tensor:
        """solo-learn's step on ``[index, crops, labels]``, then our loss on its features."""
        progress = self._progress()
        self.method.before_step(progress)
        out = super().training_step(batch, batch_idx)
        crops = batch[1] if isinstance(batch[1], list) else [batch[1]]
        images = self.method.needs_images
        views = Views(
            feats=out["feats"],
            n_large=self.num_large_crops,
            progress=progress,
            teacher=out.get("momentum_z"),
            images=crops if images else None,
            pixel_range=pixel_range(*self.statistics, device=self.device) if images else None,
            encode=self._frozen_encode if images else None,
        )
        parts = checked_parts(self.name, self.method.loss(views))
        parts.pop("codes", None)
        self.log_dict({f"train_{self.name}_{k}": v for k, v in parts.items()}, on_epoch=True, sync_dist=True)
        return parts["loss"] + out["loss"]

    def on_after_backward(self) -> None:
        super().on_after_backward()
        self.method.after_backward(self._progress())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what our evaluation needs to read it."""
        super().on_save_checkpoint(checkpoint)
        mean, std = self.statistics
        checkpoint |= checkpoint_entry(self.our_config, self.num_classes, list(mean), list(std))

    def _progress(self) -> Progress:
        trainer = self.trainer
        steps = int(trainer.estimated_stepping_batches)
        return Progress(self.current_epoch, trainer.max_epochs, trainer.global_step, steps)

    def _frozen_encode(self, images: Tensor) -> Tensor:
        with frozen_statistics(self.backbone):
            return self.backbone(images)


def _solo() -> Any:
    """solo-learn's module with ``METHODS`` and ``base``; ``InputError`` if it cannot be used."""
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
