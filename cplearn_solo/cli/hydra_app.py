"""Hydra as users expect it: configuration folders by path, overrides without ``+``, errors of one line."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from cplearn_solo.core.errors import InputError, unknown

PACKAGED = Path(__file__).parents[1] / "scripts"  # in an installed copy
SCRIPTS = PACKAGED if PACKAGED.is_dir() else Path(__file__).parents[2] / "scripts"  # in the repository

QUIET = (  # Hydra makes no folders and logs of its own but a note of each sweep: a run has its run folder
    "hydra.run.dir=.",
    "hydra.output_subdir=null",
    "hydra.sweep.dir=runs/.sweep",
    "hydra.sweep.subdir=.",
    "hydra/job_logging=disabled",
    "hydra/hydra_logging=disabled",
)


def hydra_app(task: Callable, arguments: list[str], *, program: str, folder: str, config: str, about: str) -> None:
    """Composes the configuration that ``arguments`` name and runs ``task`` on it.

    ``folder`` below ``scripts/`` and ``config`` are the defaults of ``--config-path`` and ``--config-name``. An
    ``InputError`` ends the program with one line and exit code 2.
    """
    parser = argparse.ArgumentParser(
        prog=program, description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-name", "-cn", default=config, help="YAML file in the folder (default: %(default)s)")
    parser.add_argument("--config-path", "-cp", default=None, help=f"folder of YAML files (default: scripts/{folder})")
    parser.add_argument("--multirun", "-m", action="store_true", help="sweep over comma-separated values")
    parser.add_argument("--cfg", choices=["job"], help="print the composed configuration and stop")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="overrides, as many as you like")
    with user_errors(program):
        options = parser.parse_intermixed_args(arguments)  # overrides on both sides of -m
        path = _config_folder(options.config_path or f"scripts/{folder}")
        name = _config_name(path, options.config_name)
        called = sys.argv[: len(sys.argv) - len(arguments)]
        _run_hydra(task, path, name, [_forced(path, o) for o in options.overrides], options, called)


class user_errors:
    """Context that turns ``InputError`` into one line on standard error and exit code 2."""

    def __init__(self, program: str) -> None:
        self.program = program

    def __enter__(self) -> None:
        warnings.showwarning = _one_line
        for name in ("utilities.rank_zero", "trainer.connectors.checkpoint_connector"):
            logging.getLogger(f"lightning.pytorch.{name}").setLevel(logging.WARNING)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InputError):
            sys.stdout.flush()
            reason = str(error).rsplit("InputError: ")[-1]  # one from a data worker carries the worker's traceback
            print(f"{self.program}: error: {' '.join(reason.split())}", file=sys.stderr)
            raise SystemExit(2) from None


def _one_line(message: Warning | str, category: type[Warning], *_: object) -> None:
    if category is UserWarning:  # the others concern the authors of libraries
        print(f"warning: {message}", file=sys.stderr)


def _run_hydra(
    task: Callable, path: Path, name: str, overrides: list[str], options: argparse.Namespace, called: list[str]
) -> None:
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    flags = [*(["--multirun"] if options.multirun else []), *(["--cfg", options.cfg] if options.cfg else [])]
    failed: list[InputError] = []
    here = os.getpid()

    def guarded(config):
        # processes that the Trainer starts repeat this one job: without Hydra's own idea of how, by our arguments
        given = OmegaConf.to_container(HydraConfig.get().overrides.task)  # ${...} as it was written
        sys.argv = [*called, "-cp", str(path), "-cn", name, *given]
        HydraConfig.instance().cfg = None
        try:
            return task(config)
        except (InputError, OmegaConfBaseException) as error:  # Hydra would print a traceback
            if os.getpid() != here:  # a job of a launcher, whose failure Hydra brings back
                raise
            failed.append(error if isinstance(error, InputError) else InputError(f"configuration: {error}"))

    argv, sys.argv = sys.argv, [sys.argv[0], *flags, *QUIET, *overrides]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # plain exceptions; the ones below are told in one line
    try:
        hydra.main(config_path=str(path), config_name=name, version_base="1.3")(guarded)()
    except OverrideParseException as error:
        raise InputError(f"override {error.override.lstrip('+')!r}: {error.message.splitlines()[0]}") from error
    except HydraException as error:
        raise InputError(f"{path / name}.yaml: {error}") from error
    except YAMLError as error:
        raise InputError(f"{path / name}.yaml: {error}") from error
    finally:
        sys.argv = argv
    if failed:
        raise failed[0]


def _config_folder(given: str) -> Path:
    """A folder as given from here, else the same below the bundled ``scripts/``."""
    bundled = SCRIPTS / re.sub(r"^\.?/?scripts/", "", given)
    for path in (Path(given), bundled):
        if path.is_dir():
            return path.resolve()
    folders = sorted({str(p.parent.relative_to(SCRIPTS.parent)) for p in SCRIPTS.glob("*/**/*.yaml")})
    raise unknown("--config-path", given, folders)


def _config_name(folder: Path, given: str) -> str:
    names = {p.stem: p.name for p in sorted(folder.glob("*.y*ml"))}
    stem = re.sub(r"\.ya?ml$", "", given)
    if stem not in names:
        raise unknown(f"configuration in {folder}:", given, names.values())
    return stem


def _forced(folder: Path, override: str) -> str:
    """``key=value`` as ``++key=value``: our own check, which knows every key, says what is unknown."""
    key, equals, value = override.partition("=")
    if not equals and not override.startswith("~"):
        raise InputError(f"{override!r} is no override: write key=value")
    if "=" in value and value[0] not in "'\"[{":  # as in epoch=2.ckpt, which Hydra would not read
        override = f"{key}='{value}'"
    is_group = (folder / key.partition("@")[0]).is_dir()
    return override if override[0] in "+~" or key.startswith("hydra") or is_group else f"++{override}"
