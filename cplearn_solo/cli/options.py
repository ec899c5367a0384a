"""Options of the programs that are not composed by Hydra."""

from __future__ import annotations

import argparse
from typing import Any


class Help(argparse.RawDescriptionHelpFormatter):
    """Help whose usage begins as the command is typed."""

    def __init__(self, prog: str, **settings: Any) -> None:
        super().__init__(f"cplearn {prog}", **settings)


def parser_of(program: str, about: str) -> argparse.ArgumentParser:
    """A parser without options, whose help says ``about`` as it is written."""
    return argparse.ArgumentParser(prog=program, description=about, formatter_class=Help)


def flags(parser: argparse.ArgumentParser) -> dict[str, str]:
    """By their names in Python, options as they are typed: ``{"batch_size": "--batch-size", ...}``."""
    return {action.dest: action.option_strings[0] for action in parser._actions if action.option_strings}
