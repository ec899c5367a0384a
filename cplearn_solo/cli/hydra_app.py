"""Hydra as users expect it: configuration folders by path, overrides without ``+``, errors of one line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cplearn_solo.cli.options import parser_of
from cplearn_solo.cli.text_keys import as_typed
from cplearn_solo.config.compose import composed, errors_told, not_utf8_told, overrides_told
from cplearn_solo.core.errors import InputError, require, unknown
from cplearn_solo.core.scripts import config_folder, config_folders
from cplearn_solo.core.user_errors import user_errors

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from omegaconf import DictConfig

SYNTAX = set(",()[]{}'\"\\")  # Hydra's signs for lists, mappings, sweeps, functions and text; file names may have them

Task = Callable[["DictConfig", list[str]], Any]  # of a configuration and the arguments that compose it alone
Done = tuple[list[str], dict[str, Any]]  # overrides of a job, and what its task returned

RECORD = Path("runs/.sweep/multirun.yaml")  # what Hydra writes before a sweep; each run has its own run folder
QUIET = (
    "hydra.run.dir=.",
    "hydra.output_subdir=null",
    f"hydra.sweep.dir={RECORD.parent}",
    "hydra.sweep.subdir=.",
    "hydra/job_logging=none",
    "hydra/hydra_logging=none",
)


def hydra_app(
    task: Task,
    arguments: list[str],
    *,
    program: str,
    folder: str,
    config: str,
    about: str,
    leading: Sequence[str] = (),
) -> None:
    """Runs ``task`` on the configuration that ``arguments`` describe; with ``-m``, on each configuration of a sweep.

    ``folder`` below ``scripts/`` and ``config`` are the defaults of ``--config-path`` and ``--config-name``.
    ``leading``: keys that the first words are values of, unless these say a key themselves. An ``InputError`` ends the
    program with one line and exit code 2.
    """
    parser = _parser(program, folder, config, about)
    with user_errors(program):
        options = parser.parse_intermixed_args(arguments)  # overrides on both sides of -m
        place = options.config_path or f"scripts/{folder}"
        path = _config_folder(place)
        name = _config_name(path, options.config_name)
        sweep = options.multirun or "hydra.mode=MULTIRUN" in options.overrides
        overrides = [_forced(path, override, sweep=sweep) for override in _with_keys(leading, options.overrides)]
        with errors_told(path / f"{name}.yaml"):
            if options.cfg:
                _print(program, composed(path, name, overrides))
            elif sweep:
                called = sys.argv[: len(sys.argv) - len(arguments)]
                done, failed = _sweep(task, path, name, overrides, place=place, called=called)
                if len(done) > 1:
                    from cplearn_solo.cli.sweep import print_sweep

                    print_sweep(done)
                if failed:
                    raise InputError("; ".join(dict.fromkeys(map(str, failed)))) from failed[0]
            else:  # the Trainer starts its processes with sys.argv, which is this one job
                task(composed(path, name, overrides), arguments)


def composed_by(arguments: list[str], *, config: str) -> DictConfig:
    """The configuration that ``arguments`` describe, including its folder; ``config``: its default name."""
    options = _parser("", "", config, "").parse_intermixed_args(arguments)
    path = _config_folder(options.config_path)
    overrides = [_forced(path, override) for override in options.overrides]
    return composed(path, _config_name(path, options.config_name), overrides)


def _parser(program: str, folder: str, config: str, about: str) -> ArgumentParser:
    parser = parser_of(program, about)
    parser.add_argument("--config-name", "-cn", default=config, help="YAML file in the folder (default: %(default)s)")
    parser.add_argument("--config-path", "-cp", default=None, help=f"folder of YAML files (default: scripts/{folder})")
    parser.add_argument("--multirun", "-m", action="store_true", help="sweep over comma-separated values")
    parser.add_argument("--cfg", choices=["job"], help="print every key with its value and stop")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="overrides, as many as you like")
    return parser


def _print(program: str, config: DictConfig) -> None:
    from cplearn_solo.cli.keys import KEYS
    from cplearn_solo.core.as_yaml import as_yaml

    print(as_yaml(KEYS[program](config)), end="")


def _sweep(
    task: Task, path: Path, name: str, overrides: list[str], *, place: str, called: list[str]
) -> tuple[list[Done], list[InputError]]:
    """Runs a job for each combination of values, by Hydra's sweeper and launcher. Returns the results of the jobs
    that ran in this process, and their errors.

    Sweepers and launchers need ``hydra.main``, which reads ``sys.argv``. ``called``: the part of ``sys.argv`` before
    the program's own arguments; ``place``: ``path`` as the user wrote it.
    """
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    failed: list[InputError] = []
    done: list[Done] = []
    here = os.getpid()

    def job(config: DictConfig) -> Any:
        # the Trainer starts its processes with sys.argv, which has to be this one job; if HydraConfig were set,
        # Lightning would start them with another command
        given = OmegaConf.to_container(HydraConfig.get().overrides.task)  # with ${...} unresolved
        plain = [text.lstrip("+") for text in given]
        sys.argv = [*called, "-cp", str(path), "-cn", name, *given]
        HydraConfig.instance().cfg = None
        try:
            with errors_told(path / f"{name}.yaml"), _process_left_as_it_was():
                found = task(config, ["--config-path", place, "--config-name", name, *plain])
            if found is not None:
                done.append((plain, found))
            return found
        except InputError as error:
            if os.getpid() != here:  # in a launcher's process, from which Hydra returns the error
                raise
            failed.append(error)  # Hydra would print more than its line

    made = [folder for folder in RECORD.parents[:2] if not folder.exists()]
    argv, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [argv[0], "--multirun", *QUIET, *overrides]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises exceptions, instead of printing them and exiting
    try:
        with not_utf8_told(path / f"{name}.yaml"), overrides_told(path, name, overrides):
            hydra.main(config_path=str(path), config_name=name, version_base="1.3")(job)()
    finally:
        with suppress(OSError):  # runs are there, or what a launcher has left
            RECORD.unlink(missing_ok=True)
            for folder in made:
                folder.rmdir()
        sys.argv = argv
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
    return done, failed


@contextmanager
def _process_left_as_it_was() -> Iterator[None]:
    """Removes the variables and the process group of a job on several devices, which the next job would use."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        distributed = sys.modules.get("torch.distributed")
        if distributed and distributed.is_initialized():
            distributed.destroy_process_group()


def _config_folder(given: str) -> Path:
    if (path := config_folder(given)) is not None:
        return path
    raise unknown("--config-path", given, config_folders())


def _config_name(folder: Path, given: str) -> str:
    names = {p.stem: p.name for p in sorted(folder.glob("*.y*ml"))}
    stem = re.sub(r"\.ya?ml$", "", given)
    if stem not in names:
        raise unknown(f"configuration in {folder}:", given, names.values())
    return stem


def _with_keys(keys: Sequence[str], overrides: list[str]) -> list[str]:
    """The first of ``overrides`` as values of ``keys``, as long as they exist as paths or say no key."""
    if not (keys and overrides and overrides[0]):
        return overrides
    word, *others = overrides
    says_one = "=" in word or re.match("~[^/]", word)  # ~key takes a key away
    if says_one and not os.path.exists(word):
        return overrides
    return [f"{keys[0]}={word}", *_with_keys(keys[1:], others)]


def _forced(folder: Path, override: str, *, sweep: bool = False) -> str:
    """``key=value`` as ``++key=value``: unknown keys are reported by our own check, which knows every key."""
    key, equals, value = override.partition("=")
    fits = key.strip("+~") and (equals or key[0] == "~")
    require(bool(fits), "override", override, "key=value")
    if value == "~" or value.startswith("~/"):  # shells do not expand it in checkpoint.dir=~/runs, as the key has a dot
        value = os.path.expanduser(value)
        override = f"{key}={value}"
    if equals and _is_plain_text(override, value, sweep=sweep):
        from hydra.core.override_parser.types import Quote, QuotedString

        override = f"{key}={QuotedString(value, Quote.single).with_quotes()}"
    elif equals:
        override = f"{key}={as_typed(key, value)}"
    is_group = (folder / key.partition("@")[0]).is_dir()
    return override if override[0] in "+~" or key.startswith("hydra") or is_group else f"++{override}"


def _is_plain_text(override: str, value: str, *, sweep: bool) -> bool:
    """Whether a value is text and not Hydra syntax: ``epoch=2.ckpt``, ``Bücher & #1``, an existing path ``a,b (c)``.

    Lists, mappings and, with ``-m``, sweeps that Hydra cannot read are not text: they are reported as errors.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    if (SYNTAX & set(value) or value != value.strip()) and os.path.exists(os.path.expanduser(value)):
        return True
    try:
        OverridesParser.create().parse_override(override)
    except HydraException:
        is_nested = value[:1] + value[-1:] in ("[]", "{}")
        return not (is_nested or (sweep and "," in value))
    return False
