"""Options of the programs that are not composed by Hydra."""

from __future__ import annotations

import argparse


def parser_of(program: str, about: str) -> argparse.ArgumentParser:
    """A parser without options, whose help says ``about`` as it is written."""
    raw = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(prog=program, description=about, formatter_class=raw)


def flags(parser: argparse.ArgumentParser) -> dict[str, str]:
    """By their names in Python, options as they are typed: ``{"batch_size": "--batch-size", ...}``."""
    return {action.dest: action.option_strings[0] for action in parser._actions if action.option_strings}
