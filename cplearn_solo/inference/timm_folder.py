"""A trained backbone as a folder that timm loads, and transformers through its wrapper of timm."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file
from torch import nn

from cplearn_solo.backbones.elsewhere import in_timm
from cplearn_solo.core.errors import InputError, reason_of, require
from cplearn_solo.core.files import write_file, write_json, written
from cplearn_solo.data.centre import sides_of_files
from cplearn_solo.data.schema import RGB
from cplearn_solo.inference.model_card import model_card
from cplearn_solo.inference.pretrained import Pretrained
from cplearn_solo.inference.to_onnx import TOLERANCE, difference, example_images


def write_folder(model: Pretrained, folder: Path) -> None:
    """Writes ``config.json``, ``model.safetensors`` and ``README.md``, whole or not at all.

    Raises ``InputError`` for a network that timm does not have, or that gives other features in timm.
    """
    wanted = f"a file, as timm {timm.__version__} loads no folders, which later releases do"
    require(loads_folders(), "OUT", str(folder), wanted)
    known = timm_model(model)
    if known is None:
        wanted = f"a file that ends in .pt, .safetensors or .onnx, timm has no {describe(model)}"
        raise InputError(f"OUT = {str(folder)!r}: must be {wanted}")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with written(folder):
        partial.mkdir()
    try:
        write_json(partial / "config.json", _config(model, *known))
        weights = {key: value.contiguous() for key, value in model.backbone.state_dict().items()}
        with written(folder):
            save_file(weights, partial / "model.safetensors", {"format": "pt"})
        write_file(partial / "README.md", model_card(model))
        _require_equal(model, partial, folder)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def loads_folders() -> bool:
    """Whether this release of timm loads folders; 1.0.9 does not."""
    try:
        return timm.models.parse_model_name("local-dir:folder")[0] == "local-dir"
    except AssertionError:
        return False


def timm_model(model: Pretrained) -> tuple[str, dict[str, Any]] | None:
    """Name and arguments of the timm model that is the run's backbone, if one is."""
    backbone, size = model.config.backbone, model.config.augmentations[0].crop_size
    return in_timm(backbone.name, crop_size=size, image_channels=model.config.data.channels, **backbone.kwargs)


def describe(model: Pretrained) -> str:
    """The backbone in a few words."""
    name = model.config.backbone.name
    return f"{name} with a 3x3 stem" if isinstance(getattr(model.backbone, "maxpool", None), nn.Identity) else name


def _config(model: Pretrained, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """``config.json`` as timm writes it for the hub."""
    size, channels = model.config.augmentations[0].crop_size, model.config.data.channels
    resized, _ = sides_of_files(size)
    own = timm.create_model(name, **{"num_classes": 0, **arguments}).pretrained_cfg
    layers = {"classifier": own.get("classifier"), **({"first_conv": own.get("first_conv")} if channels == RGB else {})}
    return {
        "architecture": name.partition(".")[0],
        "num_classes": arguments.get("num_classes", 0),
        "num_features": model.backbone.num_features,
        "model_args": arguments,
        "pretrained_cfg": {
            "num_classes": arguments.get("num_classes", 0),
            "input_size": [channels, size, size],
            "fixed_input_size": False,
            "interpolation": "bicubic",
            "crop_pct": size / resized,
            "crop_mode": "center",
            "mean": model.mean,
            "std": model.std,
            **layers,
        },
    }


@torch.no_grad()
def _require_equal(model: Pretrained, written: Path, folder: Path) -> None:
    """Raises ``InputError`` unless timm computes the same features from the folder ``written``."""
    images = example_images(model, 2)
    try:
        features = timm.create_model(f"local-dir:{written}", pretrained=True).eval()(images)
    except Exception as error:  # from any of several libraries
        reason = reason_of(error)
        raise InputError(f"OUT = {str(folder)!r}: must be a file, timm cannot load this network ({reason})") from error
    off = difference(features, model.backbone(images))
    require(off <= TOLERANCE, "OUT", str(folder), f"a file, timm's features of this network are off by {off:.1e}")
