"""Weights that timm and torchvision publish, from their caches or the network."""

from __future__ import annotations

from typing import Any

import timm
import torch
import torchvision
from torch import Tensor

from cplearn_solo.backbones.registry import build_backbone, out_of_reach
from cplearn_solo.core.errors import require, unknown


def published_weights(source: str, name: str, *, crop_size: int, **kwargs: Any) -> dict[str, Tensor]:
    """State dict of the weights ``source`` for the backbone ``name``.

    ``source``: ``timm`` or ``torchvision`` for the library's default weights, or with their name, such as ``timm/dino``
    and ``torchvision/IMAGENET1K_V1``. timm fits patches and positions to the size of images. Raises ``InputError`` for
    names that the library does not have, and for weights that are neither in its cache nor can be downloaded.
    """
    library, _, tag = source.partition("/")
    resnet = name.startswith("resnet") and hasattr(torchvision.models, name)
    fits = (library == "torchvision") == resnet and (resnet or name.startswith(("vit_", "timm/")))
    wanted = f"weights for {name}: torchvision has those of its ResNets, timm those of vit_* and timm/*"
    require(fits, "backbone.weights", source, wanted)
    if resnet:
        return _of_torchvision(source, name, tag)
    return _of_timm(source, name, tag, crop_size=crop_size, **kwargs)


def _of_torchvision(source: str, name: str, tag: str) -> dict[str, Tensor]:
    choices = torchvision.models.get_model_weights(name)
    if tag and tag not in choices.__members__:
        raise unknown("backbone.weights", source, [f"torchvision/{each}" for each in choices.__members__])
    weights = choices[tag or "DEFAULT"]
    try:
        return weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise out_of_reach(source, error, f"{weights.url} in {torch.hub.get_dir()}/checkpoints") from error


def _of_timm(source: str, name: str, tag: str, *, crop_size: int, **kwargs: Any) -> dict[str, Tensor]:
    model = name.removeprefix("timm/") if name.startswith("timm/") else f"{name}_patch16_224"
    tags = [each.partition(".")[2] for each in timm.list_pretrained(f"{model.partition('.')[0]}.*")]
    if (tag and tag not in tags) or not tags:
        raise unknown("backbone.weights", source, [f"timm/{each}" for each in tags])
    chosen = {"pretrained": True, **({"pretrained_cfg": tag} if tag else {})}
    return build_backbone(name, crop_size=crop_size, **{**kwargs, **chosen}).state_dict()
