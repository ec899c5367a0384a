"""Backbone and method of a run, and checks by their constructors and the optimizer's."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from cplearn_solo.backbones.registry import build_backbone, or_any_size, output_for
from cplearn_solo.config.schema import Config
from cplearn_solo.data import ImageSet, MemorySet
from cplearn_solo.data.centre import sides_in_memory
from cplearn_solo.engine.optim import build_optimizer
from cplearn_solo.methods import Method, build_method


class Networks(NamedTuple):
    """From images to features ``(n, d)``, and the method on top."""

    backbone: nn.Module
    method: Method


def build_networks(config: Config) -> Networks:
    """The networks of ``config``, with random weights. Raises ``InputError`` for values that they cannot take."""
    first, *others = (augmentation.crop_size for augmentation in config.augmentations)
    backbone = build_backbone(
        config.backbone.name,
        crop_size=first,
        image_channels=config.data.channels,
        other_sizes=others,
        **config.backbone.kwargs,
    )
    method = build_method(
        config.method,
        backbone.num_features,
        batch_size=config.optimizer.batch_size,
        method_kwargs=config.method_kwargs,
    )
    method.check_submodules()
    return Networks(backbone, method)


def check_networks(config: Config) -> None:
    """Raises ``InputError`` for values that networks or optimizer cannot take: makes all of them once.

    Such values are then reported before Lightning is imported and images are read, which may take long.
    """
    build_networks(config)
    build_optimizer([{"params": [nn.Parameter(torch.zeros(1))]}], config.optimizer, lr=config.optimizer.lr)


def check_scored_size(backbone: nn.Module, config: Config, images: ImageSet) -> None:
    """Raises ``InputError`` if ``images`` are scored at another size than crops, but ``backbone``, such as timm's
    transformers, takes only that size."""
    crop = config.augmentations[0].crop_size
    side = sides_in_memory(images.images, crop)[1] if isinstance(images, MemorySet) else crop
    if side == crop or not config.backbone.name.startswith("timm/"):
        return
    told = f"augmentations.0.crop_size = {crop}: must be {side}, the size that images in memory are scored at"
    output_for(side, backbone, told + or_any_size(backbone), channels=config.data.channels)
