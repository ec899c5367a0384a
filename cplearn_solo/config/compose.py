"""Configurations as Hydra composes them from YAML files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omegaconf import DictConfig


def composed(folder: Path, name: str, overrides: Iterable[str] = ()) -> DictConfig:
    """The file ``name``, without its ending, in ``folder``, with overrides in Hydra's grammar."""
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(folder.absolute()), version_base="1.3"):
        return compose(name, list(overrides))
