"""A method of ours as one of solo-learn's."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from cplearn_solo.config.read import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.data import IMAGENET_MEAN, IMAGENET_STD, NORMALISATION
from cplearn_solo.engine.module import checkpoint_entry
from cplearn_solo.hosts.solo_learn.config import our_config
from cplearn_solo.methods import METHODS, Method, Progress, Views, build_method, frozen_statistics, pixel_range

LOGITS_UP_TO = 16_384  # codes; with more of them solo-learn's "z" is the embedding instead of the logits


class Hosted:
    """What turns a method of ours into one of solo-learn's; stands before its base class."""

    name: ClassVar[str]

    def __init__(self, cfg: Any) -> None:
        cls = METHODS[self.name]
        _check(cls, self.name, cfg)
        super().__init__(cfg)
        self.method = build_method(
            self.name,
            self.features_dim,
            batch_size=cfg.optimizer.batch_size,
            method_kwargs=_plain(cfg).get("method_kwargs") or {},
        )
        if cls.teacher:
            self.momentum_head = copy.deepcopy(self._online_head).requires_grad_(False)
        first = cfg.augmentations[0]
        self.statistics = NORMALISATION.get(
            cfg.data.dataset, (first.get("mean", IMAGENET_MEAN), first.get("std", IMAGENET_STD))
        )
        self.plain_cfg = _plain(cfg)

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

    def forward(self, X: Tensor) -> dict[str, Any]:
        """solo-learn's outputs; in evaluation also ``z``, logits for up to 16,384 codes, else embeddings."""
        out = super().forward(X)
        if not self.training:  # in training the loss does it, once
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
        parts = self.method.loss(views)
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
        checkpoint |= checkpoint_entry(
            parse_config(our_config(self.plain_cfg)), self.num_classes, list(mean), list(std)
        )

    def _progress(self) -> Progress:
        trainer = self.trainer
        steps = int(trainer.estimated_stepping_batches)
        return Progress(self.current_epoch, trainer.max_epochs, trainer.global_step, steps)

    def _frozen_encode(self, images: Tensor) -> Tensor:
        with frozen_statistics(self.backbone):
            return self.backbone(images)


def _check(cls: type[Method], name: str, cfg: Any) -> None:
    if cls.teacher and not cfg.get("momentum"):
        raise InputError(f"momentum is missing: method {name!r} has a teacher; set momentum.base_tau")
    crops = cfg.data.num_large_crops + cfg.data.num_small_crops
    if not cls.multicrop and crops != 2:
        raise InputError(f"augmentations make {crops} views: method {name!r} takes exactly 2")


def _plain(cfg: Any) -> dict[str, Any]:
    return OmegaConf.to_container(cfg, resolve=True)
