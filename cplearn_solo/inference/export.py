"""A trained backbone in files for other software."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from cplearn_solo.config import Config
from cplearn_solo.core.files import whole_file
from cplearn_solo.inference.pretrained import Pretrained, load_pretrained
from cplearn_solo.inference.targets import new_export
from cplearn_solo.inference.timm_folder import write_folder
from cplearn_solo.inference.to_detectron2 import write_pkl
from cplearn_solo.inference.to_onnx import write_onnx


def export_backbone(pretrained: str | Path, out: str | Path) -> Pretrained:
    """Writes the backbone of a run folder or checkpoint to ``out``, which must not exist; returns its model.

    The ending decides: ``.pt`` and ``.safetensors`` hold a state dict, ``.onnx`` a graph that needs no other weights or
    code, ``.pkl`` weights for detectron2; a folder is for timm and transformers. Raises ``InputError`` for another
    ending, and for a network that the other software cannot express.
    """
    path, ending = new_export(out)
    model = load_pretrained(pretrained)
    WRITERS[ending](model, path)
    return model


def write_safetensors(backbone: nn.Module, file: Path, facts: dict[str, Any]) -> None:
    """Weights of a backbone, whole or not at all; ``facts``, plain values, are in the file's metadata as JSON."""
    with whole_file(file) as partial:
        save_file(plain_weights(backbone), partial, {"format": "pt", "cplearn_solo": json.dumps(facts)})


def facts_of(config: Config, mean: list[float], std: list[float]) -> dict[str, Any]:
    """What one must know to use weights: the network, and its input images."""
    return {
        "backbone": config.backbone.name,
        "kwargs": config.backbone.kwargs,
        "image_channels": config.data.channels,
        "crop_size": config.augmentations[0].crop_size,
        "mean": list(mean),
        "std": list(std),
    }


def plain_weights(backbone: nn.Module) -> dict[str, Tensor]:
    """A state dict on the CPU, each tensor contiguous and in its own memory."""
    return {key: value.cpu().contiguous().clone() for key, value in backbone.state_dict().items()}


def _write_pt(model: Pretrained, file: Path) -> None:
    with whole_file(file) as partial, open(partial, "wb") as out:
        torch.save(plain_weights(model.backbone), out)


def _write_safetensors(model: Pretrained, file: Path) -> None:
    write_safetensors(model.backbone, file, facts_of(model.config, model.mean, model.std))


WRITERS: dict[str, Callable[[Pretrained, Path], None]] = {
    ".pt": _write_pt,
    ".safetensors": _write_safetensors,
    ".onnx": write_onnx,
    ".pkl": write_pkl,
    "": write_folder,
}
