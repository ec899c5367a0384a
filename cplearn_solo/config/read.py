"""From the values of a YAML file and overrides to a checked configuration."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cplearn_solo.config.checks import check_config
from cplearn_solo.config.earlier import with_todays_defaults
from cplearn_solo.config.schema import Config
from cplearn_solo.config.solo_learn import drop_ignored, note_activation
from cplearn_solo.config.trainer_keys import REFUSED, trainer_keys
from cplearn_solo.core.errors import InputError, reason_of, unknown
from cplearn_solo.core.schema import leaf_keys, read_schema
from cplearn_solo.methods.catalog import method_facts


def parse_config(raw: DictConfig | dict[str, Any]) -> Config:
    """A checked :class:`Config` from keys and values.

    Raises ``InputError`` naming the key, the value and the choices.
    """
    values = resolved(raw)
    drop_ignored(values)
    note_activation(values)
    own = {f.name for f in fields(Config)} - {"trainer"}
    trainer = trainer_keys().keys() - own
    for key in values:
        if key not in own | trainer:
            deeper = [*leaf_keys(Config), *_of_method(values)]
            raise unknown("configuration key", key, (own | trainer) - REFUSED, deeper)
    ours = {key: value for key, value in values.items() if key in own}
    config = read_schema({**ours, "trainer": {key: values[key] for key in trainer & values.keys()}}, Config)
    check_config(config)
    config.name = config.name or f"{config.method}-{config.data.dataset}"
    config.method_kwargs = with_todays_defaults(config.method, config.method_kwargs)
    return config


def _of_method(values: dict[str, Any]) -> list[str]:
    """The dotted keys of the method, as far as it is known."""
    try:
        return [f"method_kwargs.{key}" for key in method_facts(values.get("method", Config.method)).arguments]
    except InputError:
        return []


def resolved(raw: DictConfig | dict[str, Any]) -> dict[str, Any]:
    """Plain values, with every ``${...}`` replaced by its value; ``InputError`` if it has none."""
    try:
        values: Any = OmegaConf.to_container(OmegaConf.create(raw), resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "configuration"
        raise InputError(f"{key}: {reason_of(error)}") from error
    return values
