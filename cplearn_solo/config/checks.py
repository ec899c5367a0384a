"""Checks across keys of a configuration."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from cplearn_solo.backbones.catalog import check_backbone
from cplearn_solo.config.schema import Config
from cplearn_solo.config.trainer_keys import trainer_keys
from cplearn_solo.core.errors import require, require_known, unknown
from cplearn_solo.core.types import check_type
from cplearn_solo.data.checks import check_augmentation, check_channels
from cplearn_solo.methods.catalog import check_method_kwargs, method_facts

# Precision of matrix products only: weights stay in float32. The short names are Lightning's synonyms.
PRECISIONS = ("None", "32", "32-true", "16", "16-mixed", "bf16", "bf16-mixed")
ACCELERATORS = ("auto", "cpu", "cuda", "gpu", "mps")
STRATEGIES = ("auto", "ddp", "deepspeed", "fsdp", "single_device")  # and all of Lightning's names that begin so


def check_config(config: Config) -> None:
    """Raises ``InputError`` for values that are invalid, alone or in combination."""
    check_method_kwargs(config.method, config.method_kwargs)
    _check_views(config)
    has_teacher = method_facts(config.method).teacher is not None
    wanted = f"a mapping with base_tau, as method {config.method!r} has a teacher"
    require(not has_teacher or config.momentum is not None, "momentum", config.momentum, wanted)
    for key, tau in asdict(config.momentum).items() if config.momentum else ():
        require(0 <= tau <= 1, f"momentum.{key}", tau, "a number from 0 to 1, the share that the teacher keeps")
    check_backbone(config.backbone.name)
    _check_trainer(config)
    _check_strategy(config)
    check_numbers(
        {
            "max_epochs": (config.max_epochs, 1),
            "optimizer.batch_size": (config.optimizer.batch_size, 2),
            "optimizer.lr": (config.optimizer.lr, 0),
            "optimizer.weight_decay": (config.optimizer.weight_decay, 0),
            "optimizer.classifier_lr": (config.optimizer.classifier_lr, 0),
            "scheduler.warmup_epochs": (config.scheduler.warmup_epochs, 0),
            "scheduler.warmup_start_lr": (config.scheduler.warmup_start_lr, 0),
            "scheduler.min_lr": (config.scheduler.min_lr, 0),
            "checkpoint.frequency": (config.checkpoint.frequency, 1),
            "accumulate_grad_batches": (config.accumulate_grad_batches, 1),
            "knn_eval.k": (config.knn_eval.k, 1),
        },
        seed=config.seed,
    )
    check_choices(
        {
            "optimizer.name": (config.optimizer.name, ("adam", "adamw", "sgd", "lars")),
            "scheduler.name": (config.scheduler.name, ("warmup_cosine", "step", "none")),
            "scheduler.interval": (config.scheduler.interval, ("step", "epoch")),
            "performance.matmul_precision": (config.performance.matmul_precision, ("highest", "high", "medium")),
            "on_collapse": (config.on_collapse, ("warn", "stop")),
        }
    )
    graph = config.performance.graph
    require(graph == "auto" or isinstance(graph, bool), "performance.graph", graph, "auto, true or false")
    steps = config.scheduler.lr_decay_steps
    wanted = "a list of epochs where scheduler.name is step"
    require(config.scheduler.name != "step" or bool(steps), "scheduler.lr_decay_steps", steps, wanted)


def _check_trainer(config: Config) -> None:
    """Checks that Lightning would make itself, seconds later."""
    time, wanted = config.trainer.get("max_time"), "days, hours, minutes and seconds, as in 00:12:00:00"
    # YAML reads 1:12:00:00 as an integer in base 60
    require(not isinstance(time, (int, float)), "max_time", time, f"{wanted}, in quotes where it begins with 1 to 9")
    for key, value in config.trainer.items():
        if value is not None:
            check_type(key, value, trainer_keys()[key])
    precision, accelerator = config.trainer.get("precision"), config.trainer.get("accelerator") or "auto"
    require(str(precision) in PRECISIONS, "precision", precision, "32-true, 16-mixed or bf16-mixed")
    check_choices({"accelerator": (accelerator, ACCELERATORS)})
    devices = "a number from 1, a list of numbers of GPUs, or auto for all there are"
    require(_are_devices(config.devices), "devices", config.devices, devices)
    require(config.num_nodes >= 1, "num_nodes", config.num_nodes, "at least 1")
    steps, every = config.trainer.get("max_steps"), config.trainer.get("check_val_every_n_epoch")
    require(steps in (None, -1) or steps > 0, "max_steps", steps, "at least 1, or -1 for as many as epochs have")
    require(every is None or every > 0, "check_val_every_n_epoch", every, "at least 1")
    interval = config.trainer.get("val_check_interval")
    require(not isinstance(interval, (int, float)) or interval > 0, "val_check_interval", interval, "above 0")
    fits = not isinstance(time, str) or re.fullmatch(r"\d+:\d\d:\d\d:\d\d", time.strip()) is not None
    require(fits, "max_time", time, wanted)


def _are_devices(devices: Any) -> bool:
    if isinstance(devices, list):
        return bool(devices) and all(type(each) is int and each >= 0 for each in devices)
    return re.fullmatch(r"auto|-1|0*[1-9]\d*|\d+(,\s*\d+)+,?|\d+,", str(devices)) is not None


def _check_strategy(config: Config) -> None:
    """Allows FSDP2 with tested options only; Lightning's older FSDP loses weight decay and teachers."""
    strategy, clip = config.trainer.get("strategy") or "auto", config.trainer.get("gradient_clip_val")
    if not str(strategy).startswith(STRATEGIES):
        raise unknown("strategy", strategy, ("auto", "ddp", "fsdp2"))
    if not str(strategy).startswith("fsdp"):
        return
    require(strategy == "fsdp2", "strategy", strategy, "fsdp2 to split weights over devices")
    require(config.optimizer.name != "lars", "optimizer.name", "lars", "adam, adamw or sgd with strategy=fsdp2")
    require(not clip, "gradient_clip_val", clip, "absent with strategy=fsdp2")
    require(not config.performance.compile, "performance.compile", True, "false with strategy=fsdp2")
    precision = config.trainer.get("precision")
    require(not str(precision).startswith("16"), "precision", precision, "32-true or bf16-mixed with strategy=fsdp2")


def check_numbers(at_least: Mapping[str, tuple[float, float]], *, seed: int) -> None:
    """Raises ``InputError`` for a value below its minimum or infinite, and for a seed outside of 0 to 2**32 - 1.

    ``at_least``: value and minimum by key.
    """
    for key, (value, low) in at_least.items():
        require(value >= low, key, value, f"at least {low}")
        require(value < math.inf, key, value, "a finite number")
    require(0 <= seed < 2**32, "seed", seed, "at least 0 and below 2**32")


def check_choices(choices: dict[str, tuple[str, tuple[str, ...]]]) -> None:
    """Raises ``InputError`` for a value that is not among its key's choices; ``choices``: value and choices by key."""
    for key, (value, allowed) in choices.items():
        require_known(key, value, allowed)


def _check_views(config: Config) -> None:
    wanted = "a list of pipelines, one for each kind of view"
    require(bool(config.augmentations), "augmentations", config.augmentations, wanted)
    for augmentation in config.augmentations:
        check_augmentation(augmentation)
    check_channels(config.augmentations, config.data.channels)
    crops = [augmentation.num_crops for augmentation in config.augmentations]
    sizes = [augmentation.crop_size for augmentation in config.augmentations]
    require(sum(crops) >= 2, "augmentations.num_crops", crops, "at least 2 views in all")
    facts = method_facts(config.method)
    two = facts.multicrop or sum(crops) == 2
    require(two, "augmentations.num_crops", crops, f"exactly 2 views in all for method {config.method!r}")
    large = [size == sizes[0] for size in sizes]
    ordered = max(sizes) == sizes[0] and large == sorted(large, reverse=True)
    require(ordered, "augmentations.crop_size", sizes, "in order, the largest first")
    alike = facts.multicrop or not facts.teacher or all(large)
    wanted = f"of one size for method {config.method!r}, whose teacher looks at both views and at large ones only"
    require(alike, "augmentations.crop_size", sizes, wanted)
