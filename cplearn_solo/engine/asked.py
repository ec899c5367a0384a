"""Checks that what a configuration asks for is here, before any import that takes seconds."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from cplearn_solo.config.identity import PATHS
from cplearn_solo.config.schema import Config, OptimizerConfig
from cplearn_solo.config.trainer_keys import REFUSED
from cplearn_solo.core.cores import cores
from cplearn_solo.core.errors import require, require_known
from cplearn_solo.core.processes import RANKS
from cplearn_solo.core.signatures import read_classes
from cplearn_solo.core.types import check_type
from cplearn_solo.data.schema import KNOWN_IMAGES
from cplearn_solo.engine.find import find_checkpoint

# Types of the keywords of optimizers; all others are switches.
KEYWORDS = {**dict.fromkeys(("dampening", "eps", "eta", "momentum", "trust_coeff"), float), "betas": list[float]}

LIBRARIES = ("timm", "torchvision")  # whose weights have names
WEIGHTS = "a run folder, a checkpoint, a file with a state dict, timm, timm/TAG, torchvision or torchvision/NAME"


def check_asked(config: Config) -> None:
    """Raises ``InputError`` for devices, weights or a checkpoint that are not here, unknown keywords of the optimizer,
    runs in a folder of images, values that would do nothing, and ``min_epochs`` or ``min_steps``.

    Most is checked again where it is used, then with PyTorch.
    """
    require_outside_of_images(config)
    _check_of_use(config)
    _check_optimizer(config.optimizer)
    weights = config.backbone.weights
    if weights is not None and not in_library(weights):
        require(weights_file(weights).exists(), "backbone.weights", weights, WEIGHTS)
    if config.resume_from_checkpoint:
        find_checkpoint(config.resume_from_checkpoint)
    for key in sorted(REFUSED):
        given, wanted = config.trainer.get(key), "absent: max_steps, max_time and signals end a run before it, too"
        require(given is None, key, given, wanted)
    _check_devices(config)


def in_library(weights: str) -> bool:
    """Whether ``backbone.weights`` names those of a library, not a file."""
    return weights.partition("/")[0] in LIBRARIES and not Path(weights).exists()


def weights_file(weights: str) -> Path:
    """The file or folder that ``backbone.weights`` names."""
    return Path(os.path.expanduser(weights))


def require_outside_of_images(config: Config) -> None:
    """Raises ``InputError`` for runs in a folder of images, where their figures would count as images, too."""
    place = Path(os.path.expanduser(config.checkpoint.dir)).resolve()
    for key in PATHS:
        value = getattr(config.data, key.partition(".")[2])
        for path in value if isinstance(value, list) else [value]:
            images = path and Path(os.path.expanduser(path)).resolve()
            within = config.data.dataset not in KNOWN_IMAGES and images and place.is_relative_to(images)
            require(not within, "checkpoint.dir", config.checkpoint.dir, f"a folder outside of {key}, {path}")


def _check_of_use(config: Config) -> None:
    """Not for configurations of finished runs, which an earlier release may have taken."""
    name, steps = config.scheduler.name, config.scheduler.lr_decay_steps
    require(not steps or name == "step", "scheduler.lr_decay_steps", steps, f"null with scheduler.name={name}")
    first, *others = config.augmentations
    for i, other in enumerate(others, 1):
        for key in ("mean", "std"):
            ours, value = getattr(first, key), getattr(other, key)
            wanted = f"null or {ours}, as augmentations.0.{key} is that of all pipelines"
            require(value in (None, ours), f"augmentations.{i}.{key}", value, wanted)


def _check_optimizer(config: OptimizerConfig) -> None:
    """Refuses keywords that are not in the source of the optimizer's class, and values of a wrong type, of which
    PyTorch finds some only in a step."""
    known = _arguments(config.name) - {"self", "params", "lr", "weight_decay", "fused"}
    known |= {"exclude_bias_n_norm", *(("eta", "clip_lr") if config.name == "lars" else ())}
    for key, value in config.kwargs.items():
        require_known(f"key of optimizer.kwargs for {config.name}", key, known)
        check_type(f"optimizer.kwargs.{key}", value, KEYWORDS.get(key, bool))


def _arguments(optimizer: str) -> set[str]:
    classes = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "lars": "LARS"}
    torch = Path(str(find_spec("torch").origin)).parent / "optim"  # type: ignore[union-attr]
    folder = Path(__file__).parent if optimizer == "lars" else torch
    return set(read_classes(folder / f"{optimizer}.py")[classes[optimizer]].arguments)


def _check_devices(config: Config) -> None:
    """PyTorch is asked for GPUs only where the answer may be an error."""
    accelerator, count = config.trainer.get("accelerator") or "auto", config.device_count
    if config.performance.graph is True:
        require(accelerator != "cpu" and _gpus_here(), "performance.graph", True, "false on a CPU")
    if accelerator in ("cuda", "gpu"):
        require(_gpus_here(), "accelerator", accelerator, "auto or cpu, no GPU was found here")
    elif accelerator != "mps" and count and count > cores() and not any(rank in os.environ for rank in RANKS):
        fits = accelerator == "auto" and _gpus_here()
        require(fits, "devices", config.devices, f"at most {cores()}, the processor cores there are")


def _gpus_here() -> bool:
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()
