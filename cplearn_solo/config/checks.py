"""Checks across keys of a configuration."""

from __future__ import annotations

from collections.abc import Mapping

from cplearn_solo.config.schema import Config
from cplearn_solo.core.errors import InputError, unknown
from cplearn_solo.data.checks import check_augmentation
from cplearn_solo.methods.catalog import check_method_kwargs, method_facts


def check_config(config: Config) -> None:
    """Raises ``InputError`` for values that cannot be, alone or together."""
    method = method_facts(config.method)
    check_method_kwargs(config.method, config.method_kwargs)
    if not config.augmentations:
        raise InputError("augmentations is missing: a list of pipelines, one for each kind of view")
    for augmentation in config.augmentations:
        check_augmentation(augmentation)
    crops = sum(a.num_crops for a in config.augmentations)
    if crops < 2:
        raise InputError(f"augmentations make {crops} view: at least 2 are needed (num_crops)")
    if not method.multicrop and crops != 2:
        raise InputError(f"augmentations make {crops} views: method {config.method!r} takes exactly 2")
    first, sizes = config.augmentations[0].crop_size, [a.crop_size for a in config.augmentations]
    large = [size == first for size in sizes]
    if max(sizes) > first or large != sorted(large, reverse=True):
        raise InputError(f"augmentations have crop_size = {', '.join(map(str, sizes))}: the largest must come first")
    precision = str(config.trainer.get("precision"))
    if precision.startswith("64") or precision.endswith("-true") and precision != "32-true":
        raise InputError(f"precision = {precision!r}: choices are 32-true, 16-mixed, bf16-mixed")
    if method.teacher and config.momentum is None:
        raise InputError(f"momentum is missing: method {config.method!r} has a teacher; set momentum.base_tau")
    at_least = {
        "max_epochs": (config.max_epochs, 1),
        "optimizer.batch_size": (config.optimizer.batch_size, 2),
        "optimizer.lr": (config.optimizer.lr, 0),
        "optimizer.weight_decay": (config.optimizer.weight_decay, 0),
        "scheduler.warmup_epochs": (config.scheduler.warmup_epochs, 0),
        "checkpoint.frequency": (config.checkpoint.frequency, 1),
        "accumulate_grad_batches": (config.accumulate_grad_batches, 1),
        "knn_eval.k": (config.knn_eval.k, 1),
        "data.num_workers": (config.data.num_workers, 0),
    }
    check_numbers(at_least, seed=config.seed)
    choices = {
        "optimizer.name": (config.optimizer.name, ("adam", "adamw", "sgd", "lars")),
        "scheduler.name": (config.scheduler.name, ("warmup_cosine", "step", "none")),
        "scheduler.interval": (config.scheduler.interval, ("step", "epoch")),
        "on_collapse": (config.on_collapse, ("warn", "stop")),
    }
    for key, (value, allowed) in choices.items():
        if value not in allowed:
            raise unknown(key, value, allowed)
    if config.scheduler.name == "step" and not config.scheduler.lr_decay_steps:
        raise InputError("scheduler.lr_decay_steps is missing: scheduler.name = 'step' needs a list of epochs")


def check_numbers(at_least: Mapping[str, tuple[float, float]], *, seed: int) -> None:
    """Raises ``InputError`` for a key whose value is less than it may be, and for a seed that no generator takes."""
    for key, (value, low) in at_least.items():
        if not value >= low:
            raise InputError(f"{key} = {value}: must be at least {low}")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed = {seed}: must be at least 0 and below 2**32")
