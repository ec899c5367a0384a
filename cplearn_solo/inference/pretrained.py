"""The model of a run folder or checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from cplearn_solo.config import Config, parse_config
from cplearn_solo.config.earlier import with_earlier_defaults
from cplearn_solo.core.errors import InputError, require
from cplearn_solo.core.surroundings import own_defaults
from cplearn_solo.data.decoding.source import as_text
from cplearn_solo.engine.checkpoint import CHECKPOINT_KEY, read_checkpoint
from cplearn_solo.engine.find import find_checkpoint
from cplearn_solo.engine.module import Pretrainer
from cplearn_solo.inference.devices import known_device
from cplearn_solo.inference.transform import Transform
from cplearn_solo.methods import METHODS, Method


@dataclass(frozen=True)
class Pretrained:
    """A trained model in evaluation mode, and what it was trained with."""

    backbone: nn.Module
    method: Method
    config: Config
    num_classes: int
    mean: list[float]
    std: list[float]
    limits: tuple[float, float] | None  # black and white of images of more than 8 bits, if measured or given
    checkpoint: Path
    run: Path | None  # its run folder, if it lies in one
    probe: nn.Module  # the linear classifier that was trained along the way: features (n, d) to logits (n, K)
    classes: tuple[str, ...]  # names of its K classes, if they are known
    content: np.ndarray  # bytes of the checkpoint as it was read; training may have replaced the file since
    epochs: int | None = None  # that it was trained for, if its checkpoint says so
    steps: int | None = None  # of the optimizer, likewise


@own_defaults()
def load_pretrained(path: str | Path, *, device: torch.device | str = "cpu") -> Pretrained:
    """Backbone and method of a run folder or checkpoint, in evaluation mode and without gradients, on ``device``.

    Raises ``InputError`` for other paths and devices, and for a checkpoint that does not fit its configuration.
    """
    device = known_device(device)
    file, run = find_checkpoint(path)
    with open(file, "rb") as opened:
        checkpoint = read_checkpoint(file, opened)
        content = np.memmap(opened, mode="r")
    saved, config = checkpoint[CHECKPOINT_KEY], trained_config(checkpoint)
    statistics = {key: saved.get(key) for key in ("num_classes", "mean", "std", "limits")}  # 0.2.0 knew no limits
    with torch.random.fork_rng(devices=()):  # weights are drawn first, from the caller's generator
        module = Pretrainer(config, **statistics)
    module.teacher = None  # not evaluated, and other hosts keep theirs under other names
    wanted = ("backbone.", "method.", "classifier.", "features_scale.")
    try:
        module.load_state_dict({k: v for k, v in checkpoint["state_dict"].items() if k.startswith(wanted)})
    except RuntimeError as error:
        raise InputError(f"{file} does not fit its own configuration: {str(error).splitlines()[-1].strip()}") from error
    module.eval().requires_grad_(False).to(device)
    probe, classes = nn.Sequential(module.features_scale, module.classifier), map(as_text, saved.get("classes", ()))
    epochs = checkpoint["epoch"] + 1 if "epoch" in checkpoint else None
    length = {"epochs": epochs, "steps": checkpoint.get("global_step")}
    known = {"checkpoint": file, "content": content, "run": run, "probe": probe, **length}
    return Pretrained(module.backbone, module.method, config, **statistics, **known, classes=tuple(classes))


def trained_config(checkpoint: dict[str, Any]) -> Config:
    """The configuration that a checkpoint of any release was trained with.

    Raises ``InputError`` where the package of its method is not installed.
    """
    stored = with_earlier_defaults(checkpoint[CHECKPOINT_KEY]["config"])
    wanted = "of a package that is installed, and the one that adds it is not"
    require(stored["method"] in METHODS, "method", stored["method"], wanted)
    return parse_config(stored)


def load_backbone(path: str | Path, *, device: torch.device | str = "cpu", frozen: bool = False) -> Backbone:
    """The trained backbone of a run folder or checkpoint, in evaluation mode.

    It maps normalised images ``(n, c, h, w)`` to features ``(n, d)``; d is its ``num_features``, and its ``transform``
    makes such images of PIL images and tensors. Its parameters have gradients, for fine-tuning, unless ``frozen``.
    """
    model = load_pretrained(path, device=device)
    backbone = model.backbone.requires_grad_(not frozen)
    backbone.transform = transform_of(model)
    return backbone


def transform_of(model: Pretrained) -> Transform:
    """From an image to the input of the run's backbone."""
    return Transform.of(model.config, model.mean, model.std, model.limits)


if TYPE_CHECKING:

    class Backbone(nn.Module):
        """The result of :func:`load_backbone` for type checkers; it may be a module of any class."""

        num_features: int
        transform: Transform

        def __call__(self, images: Tensor) -> Tensor: ...
