"""solo-learn as a host: our methods and ResNet-8 under its trainer, augmentations and linear evaluation.

Works with solo-learn 1.0.6, as it is in its repository, installed or as a plain checkout.
"""

from __future__ import annotations

import copy
import functools
import os
import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from cplearn_solo.backbones import build_backbone
from cplearn_solo.config.read import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.data import IMAGENET_MEAN, IMAGENET_STD, NORMALISATION
from cplearn_solo.engine.module import checkpoint_entry
from cplearn_solo.methods import METHODS, Method, Progress, Views, build_method, frozen_statistics, pixel_range

RESNET8 = "cplearn_resnet8"  # solo-learn takes a name that starts with resnet for torchvision's and rewires it
LOGITS_UP_TO = 16_384  # codes; with more of them solo-learn's "z" is the embedding instead of the logits
TOP_K = 5
NEEDED = (
    "solo-learn 1.0.6 is needed, which is in its repository only: clone https://github.com/vturrisi/solo-learn and "
    "give the path of one of its scripts: cplearn solo-learn solo-learn/main_pretrain.py ..."
)


def register() -> list[str]:
    """Adds every method that solo-learn lacks to its ``METHODS``, and ResNet-8 to its backbones; returns the names.

    Each becomes a subclass of solo-learn's ``BaseMethod``, or of ``BaseMomentumMethod`` where it has a teacher. Raises
    ``InputError`` where solo-learn is missing or another version.
    """
    solo = _solo()
    solo.base.BaseMethod._BACKBONES.setdefault(RESNET8, _resnet8)
    new = [name for name in METHODS if name not in solo.METHODS]
    for name in new:
        base = solo.base.BaseMomentumMethod if METHODS[name].teacher else solo.base.BaseMethod
        solo.METHODS[name] = type(METHODS[name].__name__, (Hosted, base), {"name": name})
    return new


def run(script: str, arguments: list[str]) -> None:
    """Runs a script of a solo-learn checkout with our methods registered; ``InputError`` if there is none."""
    path = Path(script).resolve()
    if not path.is_file() or not (path.parent / "solo").is_dir():
        raise InputError(f"{script} is no script of a solo-learn checkout. {NEEDED}")
    sys.path.insert(0, str(path.parent))
    register()
    _check_classes_of_linear_probes()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come out as they are, ours in one line
    sys.argv = [str(path), *_absolute_config_path(arguments)]
    runpy.run_path(str(path), run_name="__main__")


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
            parse_config(_our_config(self.plain_cfg)), self.num_classes, list(mean), list(std)
        )

    def _progress(self) -> Progress:
        trainer = self.trainer
        steps = int(trainer.estimated_stepping_batches)
        return Progress(self.current_epoch, trainer.max_epochs, trainer.global_step, steps)

    def _frozen_encode(self, images: Tensor) -> Tensor:
        with frozen_statistics(self.backbone):
            return self.backbone(images)


def _solo() -> Any:
    """solo-learn's METHODS and base module."""
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


def _check(cls: type[Method], name: str, cfg: Any) -> None:
    if cls.teacher and not cfg.get("momentum"):
        raise InputError(f"momentum is missing: method {name!r} has a teacher; set momentum.base_tau")
    crops = cfg.data.num_large_crops + cfg.data.num_small_crops
    if not cls.multicrop and crops != 2:
        raise InputError(f"augmentations make {crops} views: method {name!r} takes exactly 2")


def _check_classes_of_linear_probes() -> None:
    """solo-learn's linear probe asks for the five best classes and fails without words where there are fewer."""
    from solo.methods.linear import LinearModel

    build = LinearModel.__init__

    @functools.wraps(build)
    def checked(self: Any, backbone: nn.Module, cfg: Any, *args: Any, **kwargs: Any) -> None:
        if cfg.data.num_classes < TOP_K:
            raise InputError(
                f"data has {cfg.data.num_classes} classes: solo-learn's top-{TOP_K} accuracy needs at least {TOP_K}; "
                "cplearn linear evaluates such checkpoints"
            )
        build(self, backbone, cfg, *args, **kwargs)

    LinearModel.__init__ = checked


def _absolute_config_path(arguments: list[str]) -> list[str]:
    """Hydra takes a relative ``--config-path`` from the script's folder; users mean the one they are in, or that."""
    fixed, flags = list(arguments), ("--config-path", "-cp")
    for i, argument in enumerate(fixed):
        flag, equals, value = argument.partition("=")
        if flag in flags and equals and Path(value).is_dir():
            fixed[i] = f"{flag}={Path(value).resolve()}"
        elif flag in flags and not equals and i + 1 < len(fixed) and Path(fixed[i + 1]).is_dir():
            fixed[i + 1] = str(Path(fixed[i + 1]).resolve())
    return fixed


def _plain(cfg: Any) -> dict[str, Any]:
    return OmegaConf.to_container(cfg, resolve=True)


def _our_config(cfg: dict[str, Any]) -> dict[str, Any]:
    """What evaluation reads, in our configuration's words; solo-learn has rescaled the learning rates in its own."""
    backbone = {"name": cfg["backbone"]["name"], "kwargs": cfg["backbone"].get("kwargs") or {}}
    if backbone["name"] == RESNET8:
        backbone["name"] = "resnet8"
    elif backbone["name"].startswith("resnet"):  # there the stem goes by data set, here by crop size
        backbone["kwargs"]["small_stem"] = cfg["data"]["dataset"] in ("cifar10", "cifar100")
    sizes = [{"crop_size": aug["crop_size"], "num_crops": aug["num_crops"]} for aug in cfg["augmentations"]]
    ours = {
        key: cfg[key] for key in ("name", "method", "method_kwargs", "max_epochs", "seed") if cfg.get(key) is not None
    }
    data = {
        k: v for k, v in cfg["data"].items() if k in ("dataset", "train_path", "val_path", "no_labels", "num_workers")
    }
    momentum = {k: v for k, v in (cfg.get("momentum") or {}).items() if k in ("base_tau", "final_tau")}
    return {
        **ours,
        "backbone": backbone,
        "data": data,
        "augmentations": sizes,
        "optimizer": {"batch_size": cfg["optimizer"]["batch_size"]},
        **({"momentum": momentum} if momentum else {}),
    }
