"""Checks a configuration for all mistakes that can be found before its images are loaded."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from cplearn_solo.auto.choose import choose
from cplearn_solo.config.read import parse_config
from cplearn_solo.config.schema import Config
from cplearn_solo.data.checks import check_data, check_places
from cplearn_solo.data.notes import say_once
from cplearn_solo.engine.asked import check_asked


def checked(raw: DictConfig | dict[str, Any]) -> Config:
    """The configuration of a pretraining; raises ``InputError`` for invalid keys, values and places.

    Prints what was chosen for keys that say ``auto``. Each call begins a run, which says all that is said once a run.
    """
    say_once.cache_clear()
    values, lines = choose(raw)
    config = parse_config(values)
    check_data(config.data)
    check_places(config.data)
    check_asked(config)

    from cplearn_solo.engine.networks import check_networks  # with PyTorch, which takes a while to import

    check_networks(config)
    for line in lines:
        say_once(line)
    return config
