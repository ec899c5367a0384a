"""``cplearn dino``."""

from __future__ import annotations

import argparse

from cplearn_solo.core.errors import InputError
from cplearn_solo.hosts.dino import fitting_methods, parse_options, run, write_patch
from cplearn_solo.hosts.dino import patched as patched  # patches written by 0.2.0 and before import it from here


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
    options, method_kwargs, theirs = parse_options(parser, [*arguments, *([] if "--" in arguments else ["--"])])
    if options.write_patch:
        write_patch(options.write_patch, options.script)
        print(f"{options.write_patch} is written: git apply it in the checkout")
    elif not options.method:
        raise InputError(f"--method is missing: choices are {', '.join(fitting_methods())}")
    else:
        run(options.script, options.method, method_kwargs, options.device, theirs)
