"""``backbone.weights``: what a backbone starts from instead of random numbers."""

from __future__ import annotations

import pickle
from inspect import signature
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import adapt_input_conv
from torch import Tensor

from cplearn_solo.backbones.catalog import BACKBONES
from cplearn_solo.backbones.published import published_weights
from cplearn_solo.core.errors import InputError, reason_of, require, some
from cplearn_solo.data.notes import say_once
from cplearn_solo.data.schema import RGB
from cplearn_solo.engine.asked import WEIGHTS, in_library, weights_file
from cplearn_solo.engine.find import find_checkpoint
from cplearn_solo.engine.module import Pretrainer

INSIDE = ("state_dict", "model")  # keys under which other software keeps a state dict
PREFIXES = ("module.", "backbone.")  # of its names: from DataParallel, and from a larger module
COUNTER = "num_batches_tracked"  # of BatchNorm, which older files lack
STORED = "a checkpoint or a file with a state dict"
NAMED = 3  # tensors in a message


def start_from_weights(module: Pretrainer) -> None:
    """Loads ``backbone.weights``, if set, into the backbone and its teacher.

    They are a run folder, a checkpoint of this program, a file with a state dict, or weights that
    :func:`published_weights` knows. Tensors that the backbone does not have, such as a classifier's, are left out with
    a message. Convolutions of RGB images are fitted to other channels as timm does: summed for grey images, else
    repeated and scaled. ``InputError`` if tensors are missing or of another shape.
    """
    config = module.config.backbone
    if config.weights is None:
        return
    size = module.config.augmentations[0].crop_size
    if in_library(config.weights):
        found = published_weights(config.weights, config.name, crop_size=size, **config.kwargs)
    else:
        found = _read(config.weights)
    own, channels = module.backbone.state_dict(), module.config.data.channels
    adapted = [name for name in own if name in found and _only_channels_differ(found[name], own[name], channels)]
    found |= {name: adapt_input_conv(channels, found[name]) for name in adapted}
    missing = [name for name in own if name not in found and not name.endswith(COUNTER)]
    fits = f"weights of {config.name}"
    require(not missing, "backbone.weights", config.weights, f"{fits}, and lacks {some(missing, NAMED)}")
    for name, tensor in own.items():
        there, here = tuple(found.get(name, tensor).shape), tuple(tensor.shape)
        wanted = f"{fits} for images of {size} pixels, and its {name} is {there} instead of {here}"
        require(there == here, "backbone.weights", config.weights, wanted + _way_out(config.name, name, there, here))
    module.backbone.load_state_dict({**own, **{name: found[name] for name in own if name in found}})
    if module.teacher is not None:
        module.teacher[0].load_state_dict(module.backbone.state_dict())
    left_out = [name for name in found if name not in own]
    rest = f"; left out: {some(left_out, NAMED)}" if left_out else ""
    rest += f"; fitted to {channels} channel(s): {some(adapted, NAMED)}" if adapted else ""
    say_once(f"backbone.weights = {config.weights}: {len(own)} tensors{rest}")


def _only_channels_differ(there: Tensor, here: Tensor, channels: int) -> bool:
    """Whether ``there`` is a convolution of RGB images, and ``here`` the same of images of other channels."""
    if channels == RGB or not there.ndim == here.ndim == 4:
        return False
    (outputs, *of_there), (wanted, *of_here) = there.shape, here.shape
    return outputs == wanted and of_there == [RGB, *of_here[1:]] and of_here[0] == channels


def _way_out(backbone: str, name: str, there: tuple[int, ...], here: tuple[int, ...]) -> str:
    """Says which keys make the first convolution of ``backbone`` that of the weights; empty if no key does."""
    if name != "conv1.weight" or not len(there) == len(here) == 4:
        return ""
    takes = signature(BACKBONES[backbone]).parameters if backbone in BACKBONES else {}
    keys = []
    if there[2:] != here[2:] and "small_stem" in takes:
        keys.append(f"backbone.kwargs.small_stem={str(there[2:] < here[2:]).lower()}")
    if there[0] != here[0] and "width" in takes:
        keys.append(f"backbone.kwargs.width={there[0]}")
    if there[1] not in (here[1], RGB):  # those of RGB images are fitted to others
        keys.append(f"data.channels={there[1]}")
    return f"; {' '.join(keys)} makes it the same" if keys else ""


def _read(path: str) -> dict[str, Tensor]:
    file = weights_file(path)
    require(file.exists(), "backbone.weights", path, WEIGHTS)
    file = find_checkpoint(file)[0] if file.is_dir() else file
    try:
        safe = file.suffix == ".safetensors"
        values: Any = load_file(file) if safe else torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, OSError, ValueError, KeyError, SafetensorError) as error:
        reason = reason_of(error)
        raise InputError(f"backbone.weights = {path!r}: must be {STORED}, and cannot be read: {reason}") from error
    for name in INSIDE:
        values = values.get(name, values) if isinstance(values, dict) else values
    require(isinstance(values, dict), "backbone.weights", path, f"{STORED}, and holds a {type(values).__name__}")
    for prefix in PREFIXES:
        if any(name.startswith(prefix) for name in values):
            values = {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}
