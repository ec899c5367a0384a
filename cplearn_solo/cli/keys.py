"""Every key of a program with the value that a run of it would have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from omegaconf import DictConfig

from cplearn_solo.auto.choose import choose
from cplearn_solo.config.evaluation import ClusteringConfig, KNNConfig, LinearConfig
from cplearn_solo.config.read import parse_config, resolved
from cplearn_solo.core.schema import read_schema
from cplearn_solo.detection.schema import DetectConfig
from cplearn_solo.methods.catalog import method_facts


def of_pretraining(raw: DictConfig | dict[str, Any]) -> dict[str, Any]:
    """Keys of a pretraining, those of its method included."""
    config = parse_config(choose(raw).values)
    plain = config.plain()
    return {**plain, "method_kwargs": {**method_facts(config.method).defaults, **config.method_kwargs}}


def of_schema(raw: DictConfig, *, schema: type) -> dict[str, Any]:
    """Keys of a program that works on a finished run, as ``schema`` has them."""
    return asdict(read_schema(resolved(raw), schema))


def of_table(raw: DictConfig) -> dict[str, Any]:
    """Keys of a table; keys of its cells only as they are given, because each cell has its own defaults."""
    from cplearn_solo.tables.schema import GridConfig

    return {**asdict(GridConfig(table="")), **resolved(raw)}


def of_tune(raw: DictConfig) -> dict[str, Any]:
    """Keys of a search, and those of its trials."""
    from cplearn_solo.tuning.schema import TuneConfig

    values, own = resolved(raw), asdict(TuneConfig())
    trials = {key: value for key, value in values.items() if key not in own}
    return {**own, **{key: value for key, value in values.items() if key in own}, **of_pretraining(trials)}


KEYS: dict[str, Callable[[DictConfig], dict[str, Any]]] = {
    "check": of_pretraining,
    "pretrain": of_pretraining,
    "table": of_table,
    "tune": of_tune,
    "linear": partial(of_schema, schema=LinearConfig),
    "knn": partial(of_schema, schema=KNNConfig),
    "clustering": partial(of_schema, schema=ClusteringConfig),
    "detect": partial(of_schema, schema=DetectConfig),
}
