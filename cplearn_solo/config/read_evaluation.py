"""A checked configuration of an evaluation program."""

from __future__ import annotations

import math
from typing import Any, TypeVar

from omegaconf import DictConfig

from cplearn_solo.config.checks import check_choices, check_numbers
from cplearn_solo.config.evaluation import (
    ACCELERATORS,
    LINEAR_PROTOCOLS,
    OPTIMIZERS,
    PROTOCOLS,
    ClusteringConfig,
    EvalConfig,
    KNNConfig,
    LinearConfig,
    ProbeOptimizer,
)
from cplearn_solo.config.read import resolved
from cplearn_solo.config.schema import Config
from cplearn_solo.core.errors import InputError, require
from cplearn_solo.core.schema import read_schema
from cplearn_solo.data.checks import check_workers

E = TypeVar("E", bound=EvalConfig)


def parse_evaluation(raw: DictConfig | dict[str, Any], schema: type[E]) -> E:
    """A checked configuration of the program that ``schema`` belongs to.

    Raises ``InputError`` naming the key, the value and the choices.
    """
    config = read_schema(resolved(raw), schema)
    if not config.pretrained:
        raise InputError("pretrained is missing: give RUN_OR_CHECKPOINT")
    read_schema({"data": config.data}, Config)
    at_least: dict[str, tuple[float, float]] = {"batch_size": (config.batch_size, 1)}
    check_workers("num_workers", config.num_workers)
    check_choices({"accelerator": (config.accelerator, ACCELERATORS)})
    if isinstance(config, LinearConfig):
        optimizer = config.optimizer
        _check_linear(config)
        at_least |= {"max_epochs": (config.max_epochs, 1), "optimizer.batch_size": (optimizer.batch_size, 1)}
        at_least |= {"optimizer.weight_decay": (optimizer.weight_decay, 0), "last_blocks": (config.last_blocks, 0)}
    if isinstance(config, KNNConfig):
        at_least["k"] = (config.k, 1)
        require(config.temperature > 0, "temperature", config.temperature, "a number above 0")
    if isinstance(config, ClusteringConfig):
        check_choices({"protocol": (config.protocol, PROTOCOLS)})
    check_numbers(at_least, seed=config.seed or 0)
    return config


def _check_linear(config: LinearConfig) -> None:
    optimizer, steps = config.optimizer, config.protocol == "paper"
    check_choices({"protocol": (config.protocol, LINEAR_PROTOCOLS), "optimizer.name": (optimizer.name, OPTIMIZERS)})
    rates = learning_rates("optimizer.lr", optimizer.lr)
    for key, file in (("augment", "paper.yaml"), ("finetune", "finetune.yaml")):
        asked = getattr(config, key)
        wanted = f"paper with {key}=true, which is trained by steps: --config-name {file}"
        require(steps or not asked, "protocol", config.protocol, wanted)
        require(len(rates) == 1 or not asked, "optimizer.lr", optimizer.lr, f"one number with {key}=true")
    unused = optimizer == ProbeOptimizer() and config.max_epochs == LinearConfig.max_epochs
    wanted = "paper where optimizer or max_epochs is set: a converged probe has neither"
    require(steps or unused, "protocol", config.protocol, wanted)
    if optimizer.backbone_lr is not None:
        wanted = "null without finetune=true, and else a finite number from 0"
        fits = config.finetune and 0 <= optimizer.backbone_lr < math.inf
        require(fits, "optimizer.backbone_lr", optimizer.backbone_lr, wanted)


def learning_rates(key: str, value: Any) -> list[float]:
    """``value``, a learning rate or a list of them, as a list; ``InputError`` names ``key``."""
    rates = list(value) if isinstance(value, (list, tuple)) else [value]
    require(bool(rates), key, value, "a number above 0, or a list of them")
    for rate in rates:
        fits = type(rate) in (int, float) and 0 < rate < math.inf
        require(fits, key, rate, "a finite number above 0")
    return rates
