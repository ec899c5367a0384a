"""Configurations as Hydra composes them from YAML files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cplearn_solo.config.list_keys import lists_told
from cplearn_solo.core.errors import InputError, reason_of, require

if TYPE_CHECKING:
    from omegaconf import DictConfig


def composed(folder: Path, name: str, overrides: Iterable[str] = ()) -> DictConfig:
    """The file ``name``, without its ending, in ``folder``, with overrides in Hydra's grammar.

    Raises ``InputError`` for a file that cannot be read, and for invalid overrides.
    """
    from hydra import compose, initialize_config_dir

    file = folder / f"{name}.yaml"
    only_yml = not file.exists() and file.with_suffix(".yml").exists()
    require(not only_yml, "configuration", str(file.with_suffix(".yml")), "a file whose name ends in .yaml")
    given = list(overrides)
    with (
        errors_told(file),
        _values_told(given),
        not_utf8_told(file),
        overrides_told(folder, name, given),
        _beside_others(),
        initialize_config_dir(config_dir=str(folder.absolute()), version_base="1.3"),
    ):
        return compose(name, given)


def overrides_told(folder: Path, name: str, overrides: Iterable[str]) -> AbstractContextManager[None]:
    """In this block, which composes the file ``name`` in ``folder``, an override that is wrong about a list is told."""
    keys = (override.lstrip("+~").partition("=")[0] for override in overrides)
    return lists_told(keys, lambda: composed(folder, name))


@contextmanager
def errors_told(file: Path) -> Iterator[None]:
    """Turns errors of Hydra, OmegaConf and YAML about the configuration in ``file`` into ``InputError``."""
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        yield
    except OverrideParseException as error:
        given = error.override.lstrip("+")
        ways = "in a list, mapping or sweep, text with signs such as ( # , = needs quotes: \"key=['a (b)']\""
        raise InputError(f"override {given!r} cannot be read; {ways}") from error
    except (HydraException, YAMLError) as error:
        said = " ".join((str(error) or str(error.__cause__)).split())
        if merging := re.match(r"Error merging override \+*(.+)", said):
            cause = error.__cause__ or error
            raise InputError(f"override {merging[1]!r}: {reason_of(cause)}") from error
        if several := re.match(r"Ambiguous value for argument '\+*(.+?)=(.+?)' ", said):
            key, values = several.groups()
            ways = f"{key}=[{values}] is a list, and with -m there is a run for each"
            raise InputError(f"override '{key}={values}': {ways}") from error
        raise InputError(f"{file}: {said}") from error
    except OmegaConfBaseException as error:
        raise InputError(f"configuration: {' '.join(str(error).split())}") from error


@contextmanager
def _values_told(overrides: list[str]) -> Iterator[None]:
    """Raises ``InputError`` if Hydra refuses ``overrides`` by a ``ValueError``, as a number for a group of files."""
    try:
        yield
    except InputError:
        raise
    except ValueError as error:
        given = " ".join(override.lstrip("+") for override in overrides)
        raise InputError(f"overrides {given!r}: {reason_of(error)}") from error


@contextmanager
def not_utf8_told(file: Path) -> Iterator[None]:
    """Raises ``InputError`` if the configuration in ``file`` is not UTF-8 text."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: must be text in UTF-8: {error}") from error


@contextmanager
def _beside_others() -> Iterator[None]:
    """Clears Hydra's global state in this block and restores it: a program that uses this one may use Hydra itself."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.version import VersionBase

    theirs, version = GlobalHydra.instance(), VersionBase.instance()
    hydra, base = theirs.hydra, version.version_base
    theirs.clear()
    try:
        yield
    finally:
        theirs.hydra = hydra
        GlobalHydra.set_instance(theirs)
        version.version_base = base
