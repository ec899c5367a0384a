"""``cplearn dino``, and the same options of a ``main_dino.py`` that it has patched."""

from __future__ import annotations

import argparse
import sys
from types import ModuleType
from typing import Any

from omegaconf import OmegaConf
from yaml import YAMLError

from cplearn_solo.cli.hydra_app import user_errors
from cplearn_solo.core.errors import InputError, unknown
from cplearn_solo.hosts import dino
from cplearn_solo.methods import method_facts


def dino_task(arguments: list[str], about: str) -> None:
    """Runs a checkout's script, or writes a patch of it."""
    parser = argparse.ArgumentParser(
        prog="dino",
        usage="cplearn dino PATH --method NAME [--KEY VALUE ...] -- [DINO's own arguments]",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("script", metavar="PATH", help="main_dino.py, or the checkout that it is in")
    parser.add_argument("--write-patch", metavar="FILE", help="write a patch of PATH instead of running it")
    options, method_kwargs, theirs = _parse(parser, [*arguments, *([] if "--" in arguments else ["--"])])
    if options.write_patch:
        dino.write_patch(options.write_patch, options.script)
        print(f"{options.write_patch} is written: git apply it in the checkout")
    elif not options.method:
        raise InputError(f"--method is missing: choices are {', '.join(dino.fitting_methods())}")
    else:
        dino.run(options.script, options.method, method_kwargs, options.device, theirs)


def patched(main: ModuleType) -> None:
    """Gives ``main``, a patched script, the same options; without ``--method`` it stays as it was."""
    with user_errors("main_dino.py"):
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        options, method_kwargs, theirs = _parse(parser, sys.argv[1:])
        if not options.method:
            return
        dino.install(main, options.method, method_kwargs, options.device)
    train = main.train_dino

    def train_dino(args: argparse.Namespace) -> None:
        with user_errors("main_dino.py"):
            train(args)

    main.train_dino = train_dino
    sys.argv[1:] = theirs


def _parse(
    parser: argparse.ArgumentParser, arguments: list[str]
) -> tuple[argparse.Namespace, dict[str, Any], list[str]]:
    """Options, the method's keywords, and DINO's arguments: those after ``--``, or without it all the others."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    ours, theirs = arguments[:cut], arguments[cut + 1 :]
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu makes a smoke run possible")
    only_method = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for each in (parser, only_method):
        each.add_argument("--method", metavar="NAME", help=f"one of {', '.join(dino.fitting_methods())}")
    name = only_method.parse_known_args(ours)[0].method
    if name:
        dino.check_method(name)
    keys = list(method_facts(name).arguments) if name else []
    group = parser.add_argument_group(f"method_kwargs of {name}" if name else "method_kwargs", "with --method NAME")
    for key in keys:
        flags = ("--dict_size",) if (name, key) == ("cplearn", "proj_output_dim") else ()
        group.add_argument(f"--{key}", *flags, dest=f"method_kwargs.{key}", default=argparse.SUPPRESS, metavar="VALUE")
    options, rest = parser.parse_known_args(ours)
    if rest and cut < len(arguments):
        key = rest[0].lstrip("-").partition("=")[0]
        error = unknown(f"key of {name}'s method_kwargs", key, keys)
        raise InputError(f"{error}; DINO's own arguments stand after --")
    given = {key: value for key, value in vars(options).items() if key.startswith("method_kwargs.")}
    return options, {key.partition(".")[2]: _value(key, text) for key, text in given.items()}, rest + theirs


def _value(key: str, text: str) -> Any:
    """As in YAML, like the value of an override."""
    try:
        return OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))["value"]
    except YAMLError as error:
        raise InputError(f"{key} = {text!r}: cannot be read as YAML") from error
