"""Options of the programs whose configuration Hydra does not compose."""

from __future__ import annotations

import argparse
import os
from typing import Any


class Help(argparse.RawDescriptionHelpFormatter):
    """Help whose usage line begins with ``cplearn``."""

    def __init__(self, prog: str, **settings: Any) -> None:
        super().__init__(f"cplearn {prog}", **settings)


def parser_of(program: str, about: str) -> argparse.ArgumentParser:
    """A parser without options, whose help shows ``about`` unchanged."""
    return argparse.ArgumentParser(prog=program, description=about, formatter_class=Help)


def add_pretrained(parser: argparse.ArgumentParser, **settings: Any) -> None:
    """Adds the trained model: RUN or, as it is a key of other programs, ``pretrained=RUN``."""
    parser.add_argument("pretrained", metavar="RUN_OR_CHECKPOINT", type=without_key, **settings)


def without_key(word: str) -> str:
    """RUN of ``pretrained=RUN``; any other word, and a path that exists, as it is."""
    return word if os.path.exists(word) else word.removeprefix("pretrained=")


def flags(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Options as they are typed, by their names in Python: ``{"batch_size": "--batch-size", ...}``."""
    return {action.dest: action.option_strings[0] for action in parser._actions if action.option_strings}
