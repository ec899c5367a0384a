"""A patch of two lines that adds our methods to DINO's main script, and the function that these lines call."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from pathlib import Path
from types import ModuleType

from cplearn_solo.core.errors import InputError, require
from cplearn_solo.core.user_errors import user_errors
from cplearn_solo.hosts.dino.options import parse_options
from cplearn_solo.hosts.dino.script import WANTED, find

ENTRY = re.compile(r"if __name__ == ['\"]__main__['\"]:\s*")
HOOK = ("from cplearn_solo.hosts.dino import patched", "patched(sys.modules[__name__])")


def write_patch(file: str, script: str) -> None:
    """Writes the patch ``file`` for ``git apply`` in the checkout: two lines that give ``script`` the options of
    ``cplearn dino``.

    Raises ``InputError`` if ``file`` exists, and if ``script`` is not DINO's or is already patched.
    """
    path, target = find(script), Path(file)
    require(not target.exists(), "--write-patch", file, "a new file, that one exists already")
    with path.open(encoding="utf-8", newline="\n") as lines:
        before = list(lines)
    start = next((i for i, line in enumerate(before) if ENTRY.fullmatch(line)), len(before))
    if start + 1 >= len(before):
        raise InputError(f"{path}: {WANTED}; looked for if __name__ == '__main__': and what it runs")
    require("import patched" not in before[start + 1], "PATH", str(path), "one that is not patched already")
    indent = re.match(r"[ \t]*", before[start + 1]).group()
    end = before[start][len(before[start].rstrip()) :]
    after = [*before[: start + 1], *(f"{indent}{line}{end}" for line in HOOK), *before[start + 1 :]]
    diff = difflib.unified_diff(before, after, f"a/{path.name}", f"b/{path.name}")
    whole = (line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in diff)
    target.write_bytes("".join(whole).encode())


def patched(main: ModuleType) -> None:
    """Gives ``main``, a patched script, the options of ``cplearn dino``; without ``--method``, it is unchanged."""
    with user_errors("main_dino.py"):
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        options, method_kwargs, theirs = parse_options(parser, sys.argv[1:])
        if not options.method:
            return

        from cplearn_solo.hosts.dino.substitutes import install  # our code is loaded only if needed

        install(main, options.method, method_kwargs, options.device)
    train = main.train_dino

    def train_dino(args: argparse.Namespace) -> None:
        with user_errors("main_dino.py"):
            train(args)

    main.train_dino = train_dino
    sys.argv[1:] = theirs
