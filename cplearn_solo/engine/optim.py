"""Optimizers and learning-rate schedules by solo-learn's names and keys."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from cplearn_solo.config.schema import Config, OptimizerConfig, SchedulerConfig
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.messages import Notice
from cplearn_solo.engine.lars import LARS

Group = dict[str, Any]


def lr_scale(config: Config, num_devices: int) -> float:
    """Linear scaling of learning rates with the images of one optimizer step, relative to 256."""
    return config.optimizer.batch_size * num_devices * config.accumulate_grad_batches / 256


def build_optimizer(groups: list[Group], config: OptimizerConfig, *, lr: float, fused: bool = True) -> Optimizer:
    """The optimizer that ``config`` names over parameter groups; ``lr`` is the scaled learning rate.
    ``fused`` optimizers are fast, but Lightning cannot clip gradients for them in mixed precision.

    For LARS, ``eta`` is the trust coefficient, ``clip_lr`` the trust clipping, and groups without weight decay are not
    adapted. Raises ``InputError`` for keywords that the optimizer refuses.
    """
    kwargs = dict(config.kwargs)
    exclude = kwargs.pop("exclude_bias_n_norm", False) or config.exclude_bias_n_norm_wd
    groups = [part for group in groups for part in (_split_by_decay(group) if exclude else [group])]
    if config.name == "lars":
        kwargs = {"trust_coeff": kwargs.pop("eta", 1e-3), "trust_clip": kwargs.pop("clip_lr", False), **kwargs}
        build: Callable[..., Optimizer] = LARS
    elif config.name == "sgd":
        build, kwargs = partial(torch.optim.SGD, fused=fused), {"momentum": 0.9, **kwargs}
    else:
        build = partial({"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.name], fused=fused)
    try:
        return build(groups, lr=lr, weight_decay=config.weight_decay, **kwargs)
    except (TypeError, ValueError, IndexError, RuntimeError) as error:
        raise InputError(f"optimizer.kwargs = {config.kwargs}: {config.name} refuses them: {error}") from error


def build_scheduler(optimizer: Optimizer, config: SchedulerConfig, *, epochs: float, steps: int) -> LambdaLR | None:
    """Learning rate over ``steps`` optimizer steps in ``epochs`` epochs, in closed form, or ``None``.

    ``warmup_cosine``: linear from ``warmup_start_lr`` to the group's rate, then a half cosine down to ``min_lr``.
    Groups with ``static_lr`` keep their rate. A warm-up longer than the run is clipped to it, with a warning.
    """
    if config.name == "none":
        return None
    total = steps if config.interval == "step" else epochs
    per_epoch = total / epochs
    if config.name == "step":
        milestones = [epoch * per_epoch for epoch in config.lr_decay_steps or []]
        return LambdaLR(optimizer, [_curve(g, partial(_steps, milestones)) for g in optimizer.param_groups])
    warmup = config.warmup_epochs * per_epoch
    if warmup > total:
        warnings.warn(
            f"scheduler.warmup_epochs = {config.warmup_epochs:g} clipped to the run's {round(epochs, 2):g} epochs",
            Notice,
            stacklevel=2,
        )
        warmup = total
    shape = {"start": config.warmup_start_lr, "low": config.min_lr, "warmup": warmup, "total": total}
    curves = [_curve(g, partial(_warmup_cosine, base=g["lr"], **shape)) for g in optimizer.param_groups]
    return LambdaLR(optimizer, curves)


def _curve(group: Group, curve: Callable[[float], float]) -> Callable[[float], float]:
    """Factor on a group's rate over time."""
    return _constant if group.get("static_lr") else curve


def _constant(t: float) -> float:
    return 1.0


def _steps(milestones: list[float], t: float) -> float:
    return 0.1 ** sum(t >= m for m in milestones)


def _warmup_cosine(t: float, *, base: float, start: float, low: float, warmup: float, total: float) -> float:
    """Factor on the base rate at time t."""
    if base == 0:
        return 1.0
    if t < warmup:
        return (start + (base - start) * t / warmup) / base
    done = min(1.0, (t - warmup) / max(1.0, total - warmup))
    return (low + (base - low) * (1 + math.cos(math.pi * done)) / 2) / base


def _split_by_decay(group: Group) -> list[Group]:
    """Splits off biases and normalisation parameters (one dimension or none), without weight decay."""
    rest = {key: value for key, value in group.items() if key != "params"}
    params = list(group["params"])
    parts = [
        {**rest, "params": [p for p in params if p.ndim > 1]},
        {**rest, "weight_decay": 0.0, "params": [p for p in params if p.ndim <= 1]},
    ]
    return [part for part in parts if part["params"]]
