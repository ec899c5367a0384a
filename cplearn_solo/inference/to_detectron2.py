"""A trained ResNet in a file for detectron2, which is written here and never read."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
from torch import nn

from cplearn_solo.backbones.elsewhere import RESNETS
from cplearn_solo.core.errors import require
from cplearn_solo.core.files import whole_file
from cplearn_solo.inference.pretrained import Pretrained

# From torchvision's names to detectron2's: layer1.0.bn2.weight is res2.0.conv2.norm.weight.
NAMES = (
    (r"^(conv1|bn1)", r"stem.\1"),
    (r"^layer(\d)", lambda found: f"res{int(found[1]) + 1}"),
    (r"\bbn(\d)", r"conv\1.norm"),
    (r"downsample\.0", "shortcut"),
    (r"downsample\.1", "shortcut.norm"),
)


def write_pkl(model: Pretrained, file: Path) -> None:
    """Writes a file for detectron2's ``MODEL.WEIGHTS``: arrays by its names, which it finds by matching their ends.

    Raises ``InputError`` for networks other than ResNets with the large stem, the only one in detectron2.
    """
    backbone, of_run = model.backbone, model.config.backbone
    large = of_run.name in RESNETS and not isinstance(backbone.maxpool, nn.Identity)
    keys, without = "backbone.kwargs.small_stem=false", ""
    if of_run.name not in RESNETS:  # whose keywords are no ResNet's
        keys = f"backbone.name={RESNETS[0]} {keys}"
        without = "".join(f", without backbone.kwargs.{key} (~backbone.kwargs.{key})" for key in of_run.kwargs)
    wanted = f"of another ending, detectron2 has ResNets with a 7x7 stem only: {keys} in training{without}"
    require(large, "OUT", str(file), wanted)
    content = {"model": detectron2_weights(backbone), "__author__": "cplearn_solo", "matching_heuristics": True}
    with whole_file(file) as partial:
        partial.write_bytes(pickle.dumps(content, protocol=4))


def detectron2_weights(backbone: nn.Module) -> dict[str, np.ndarray]:
    """Arrays of a torchvision ResNet under detectron2's names, without BatchNorm's counters of batches."""
    weights = {}
    for name, tensor in backbone.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        for pattern, theirs in NAMES:
            name = re.sub(pattern, theirs, name)
        weights[name] = tensor.cpu().numpy()
    return weights
