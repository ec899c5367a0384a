"""``--data KEY=VALUE`` for programs whose configuration Hydra does not compose."""

from __future__ import annotations

import os
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from cplearn_solo.core.as_yaml import quoted
from cplearn_solo.core.errors import InputError, reason_of
from cplearn_solo.core.schema import read_schema, text_keys
from cplearn_solo.data.schema import DataConfig

OF_YAML = ("'", '"', "[", "null")  # a value of a text key that begins so is read as YAML


def data_keys(overrides: list[str]) -> dict[str, Any]:
    """Keys of ``data`` from ``--data KEY=VALUE``, with or without ``data.``; ``InputError`` for an invalid one."""
    for override in overrides:
        if "=" not in override:
            raise InputError(f"--data = {override!r}: must be key=value")
    try:
        keys = OmegaConf.to_container(OmegaConf.from_dotlist([_quoted(o.removeprefix("data.")) for o in overrides]))
        read_schema(keys, DataConfig)
        return keys
    except (OmegaConfBaseException, YAMLError) as error:
        raise InputError(f"--data = {' '.join(overrides)!r}: {reason_of(error)}") from error


def _quoted(override: str) -> str:
    """Quotes text: a path that exists, even if YAML would read it otherwise, such as ``images #1``, and the value of a
    text key, such as ``label_column=2024_01``."""
    key, _, value = override.partition("=")
    typed = key in text_keys(DataConfig) and not value.startswith(OF_YAML)
    text = typed or os.path.exists(os.path.expanduser(value))
    return f"{key}={quoted(value)}" if text else override
