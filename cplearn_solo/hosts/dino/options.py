"""Our options among DINO's arguments: the method, its ``method_kwargs`` and the device."""

from __future__ import annotations

import argparse
from typing import Any

from omegaconf import OmegaConf
from yaml import YAMLError

from cplearn_solo.core.errors import InputError, unknown
from cplearn_solo.methods.catalog import method_facts
from cplearn_solo.methods.registry import METHODS


def fitting_methods() -> list[str]:
    """Names of the methods that need features of crops and nothing else."""
    return sorted(name for name in METHODS if _fits(name))


def check_method(name: str) -> None:
    """``InputError`` unless it is one of :func:`fitting_methods`."""
    facts = method_facts(name)
    if facts.teacher or facts.needs_images:
        wanted = "one without a teacher" if facts.teacher else "one that does not need the images"
        raise InputError(f"--method = {name!r}: must be {wanted}; choices are {', '.join(fitting_methods())}")


def _fits(name: str) -> bool:
    try:
        facts = method_facts(name)
    except InputError:  # a method of another package that cannot be imported
        return False
    return not (facts.teacher or facts.needs_images)


def parse_options(
    parser: argparse.ArgumentParser, arguments: list[str]
) -> tuple[argparse.Namespace, dict[str, Any], list[str]]:
    """Options, the method's keywords, and DINO's arguments: those after ``--``, or without it all the others.

    Adds our options to ``parser``: a keyword is ``--KEY``, or ``--method_kwargs.KEY`` if an option already has that
    name. Raises ``InputError`` for a method that does not fit, and for a keyword that it does not have.
    """
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    ours, theirs = arguments[:cut], arguments[cut + 1 :]
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu makes a smoke run possible")
    only_method = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for each in (parser, only_method):
        each.add_argument("--method", metavar="NAME", help="one without a teacher that does not need the images")
    name = only_method.parse_known_args(ours)[0].method
    if name:
        check_method(name)
    keys = method_facts(name).arguments if name else ()
    defaults = method_facts(name).defaults if name else {}
    group = parser.add_argument_group(f"method_kwargs of {name}" if name else "method_kwargs", "with --method NAME")
    for key in keys:
        flags = ("--dict_size",) if (name, key) == ("cplearn", "proj_output_dim") else ()
        told = f"default: {defaults[key]}".replace("%", "%%") if key in defaults else "has to be given"
        how = {"default": argparse.SUPPRESS, "metavar": "VALUE", "help": told}
        try:
            group.add_argument(f"--{key}", *flags, dest=f"method_kwargs.{key}", **how)
        except argparse.ArgumentError:  # an option already has this name
            group.add_argument(f"--method_kwargs.{key}", dest=f"method_kwargs.{key}", **how)
    options, rest = parser.parse_known_args(ours)
    if rest and cut < len(arguments):
        key = rest[0].lstrip("-").partition("=")[0]
        error = unknown(f"key of {name}'s method_kwargs", key, keys)
        raise InputError(f"{error}; DINO's own arguments stand after --")
    given = {key: value for key, value in vars(options).items() if key.startswith("method_kwargs.")}
    return options, {key.partition(".")[2]: _value(key, text) for key, text in given.items()}, rest + theirs


def _value(key: str, text: str) -> Any:
    """Parses YAML, like the value of an override."""
    try:
        return OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))["value"]
    except YAMLError as error:
        raise InputError(f"{key} = {text!r}: cannot be read as YAML") from error
