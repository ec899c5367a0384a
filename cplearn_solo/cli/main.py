"""``cplearn`` and its subcommands; the top-level ``main_*.py`` scripts call them too."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import cplearn_solo
from cplearn_solo.cli.help_texts import CHECK, DETECT, DINO, EVALUATE, LINEAR, PRETRAIN, SOLO_LEARN, TABLE, TUNE, USAGE
from cplearn_solo.cli.hydra_app import Task, hydra_app
from cplearn_solo.cli.options import flags, parser_of
from cplearn_solo.core.commands import typed
from cplearn_solo.core.errors import keys_named, unknown
from cplearn_solo.core.user_errors import user_errors

# Keys that concern one call only: the command under a table, which makes the whole table again, leaves them out.
OF_ONE_CALL = ("run=", "rerun_stale=", "workers=", "work=", "launcher=", "slurm")


def main() -> None:
    """Entry point of ``cplearn``."""
    if "_ARGCOMPLETE" in os.environ:
        from cplearn_solo.cli.completion import complete

        complete(COMMANDS)
    command, arguments = (sys.argv[1] if len(sys.argv) > 1 else "--help"), sys.argv[2:]
    if command in ("-h", "--help", "help"):
        print(USAGE)
    elif command == "--version":
        print(f"cplearn-solo {cplearn_solo.__version__}")
    elif command in COMMANDS:
        COMMANDS[command](arguments)
    else:
        with user_errors("cplearn"):
            raise unknown("command", command, COMMANDS)


def check(arguments: list[str] | None = None) -> None:
    """Shows how a training would read images."""
    parser = parser_of("check", CHECK)
    parser.add_argument("train", metavar="FOLDER", help="images to train on")
    parser.add_argument(
        "others", nargs="*", metavar="[VAL] key=value", help="images to score on; keys of a pretraining"
    )
    parser.add_argument("--all", action="store_true", help="look at every image, not at a sample of 500")
    parser.add_argument("--sheet", metavar="FILE", default="check.png", help="contact sheet (default: %(default)s)")
    parser.add_argument("--config-name", "-cn", default="cplearn.yaml", help="pretraining (default: %(default)s)")
    parser.add_argument("--config-path", "-cp", default="scripts/pretrain/auto", help="folder (default: %(default)s)")
    options = parser.parse_intermixed_args(sys.argv[1:] if arguments is None else arguments)

    def run(raw: Any, words: list[str]) -> None:
        from cplearn_solo.cli.tasks import check_task

        check_task(raw, everything=options.all, sheet=options.sheet)

    hydra_app(
        run,
        ["-cp", options.config_path, "-cn", options.config_name, options.train, *options.others],
        program="check",
        folder="pretrain/auto",
        config="cplearn.yaml",
        about="",
        leading=["data.train_path", "data.val_path"],
    )


def pretrain(arguments: list[str] | None = None) -> None:
    """Pretraining, then evaluation on frozen features."""
    arguments = sys.argv[1:] if arguments is None else arguments
    hydra_app(
        _task("pretrain"),
        arguments,
        program="pretrain",
        folder=_folder_for(arguments),
        config="cplearn.yaml",
        about=PRETRAIN,
    )


def linear(arguments: list[str] | None = None) -> None:
    """Linear probe."""
    _evaluate("linear", LINEAR, arguments)


def knn(arguments: list[str] | None = None) -> None:
    """k nearest neighbours."""
    _evaluate("knn", "Classifies by the k nearest training images in feature space.", arguments)


def clustering(arguments: list[str] | None = None) -> None:
    """Clustering scores."""
    _evaluate(
        "clustering", "Compares codes, and k-means clusters of the features, with classes; chance included.", arguments
    )


def table(arguments: list[str] | None = None) -> None:
    """A paper's table beside our results; missing cells are run first."""
    arguments = sys.argv[1:] if arguments is None else arguments

    def run(raw: Any, words: list[str]) -> None:
        from cplearn_solo.cli.table import table_task

        whole = [a for a in words if not a.lstrip("+").startswith(OF_ONE_CALL)]
        table_task(raw, command=typed(["cplearn", "table", *whole]))

    hydra_app(run, arguments, program="table", folder="tables", config="table1.yaml", about=TABLE)


def tune(arguments: list[str] | None = None) -> None:
    """A search for the keys of a method."""
    arguments = sys.argv[1:] if arguments is None else arguments
    folder = _folder_for(arguments)

    def run(raw: Any, words: list[str]) -> None:
        from cplearn_solo.cli.tune import tune_task

        given = any(word.startswith(("-cp", "--config-path")) for word in words)
        tune_task(raw, words, [] if given else ["--config-path", f"scripts/{folder}"])

    hydra_app(run, arguments, program="tune", folder=folder, config="cplearn.yaml", about=TUNE)


def detect(arguments: list[str] | None = None) -> None:
    """A detector on top of a trained backbone."""
    arguments = sys.argv[1:] if arguments is None else arguments
    own_images = any(argument.lstrip("+").startswith("data.train=") for argument in arguments)
    hydra_app(
        _task("detect"),
        arguments,
        program="detect",
        folder="detection",
        config="coco_fpn.yaml" if own_images else "mini.yaml",
        about=DETECT,
        leading=["pretrained"],
    )


def _with_options(name: str, about: str) -> Callable[..., None]:
    """The program whose ``command_line`` and task are in the module ``name``, which is imported when it runs."""

    def program(arguments: list[str] | None = None) -> None:
        module = import_module(f"{__package__}.{name}")
        parser = module.command_line()
        options = parser.parse_intermixed_args(sys.argv[1:] if arguments is None else arguments)
        with user_errors(name), keys_named(flags(parser)):
            getattr(module, f"{name}_task")(options)

    program.__doc__ = about
    return program


collapse = _with_options("collapse", "The collapse report.")
embed = _with_options("embed", "Representations, codes and their confidence in a file.")
gallery = _with_options("gallery", "Images as a model sees them, as one page.")
predict = _with_options("predict", "Classes and their probabilities in a file.")
search = _with_options("search", "Images of an index that are nearest to others.")
duplicates = _with_options("duplicates", "Groups of images that are nearly the same.")
export = _with_options("export", "The trained backbone in a file of other software.")
runs = _with_options("runs", "What there is below a folder.")


def _folder_for(arguments: list[str]) -> str:
    """The default folder of configurations below ``scripts/``, for the user's own images or for digits."""
    keys = [argument.lstrip("+").partition("=")[0] for argument in arguments]
    return "pretrain/auto" if "data.train_path" in keys and "data.dataset" not in keys else "pretrain/digits"


def _task(name: str) -> Task:
    """The task of that name, imported when it runs, so that help and most errors do not wait for it."""

    def run(raw: Any, words: list[str]) -> Any:
        from cplearn_solo.cli.tasks import TASKS

        return TASKS[name](raw)

    return run


def _evaluate(name: str, about: str, arguments: list[str] | None) -> None:
    hydra_app(
        _task(name),
        sys.argv[1:] if arguments is None else arguments,
        program=name,
        folder=name,
        config="cplearn.yaml",
        about=f"{about}\n\n{EVALUATE.format(name=name)}",
        leading=["pretrained"],
    )


def _solo_learn(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(SOLO_LEARN)
        return
    with user_errors("solo-learn"):
        from cplearn_solo.hosts import solo_learn

        solo_learn.run(arguments[0], arguments[1:])


def _dino(arguments: list[str]) -> None:
    with user_errors("dino"):
        from cplearn_solo.cli.dino import dino_task

        dino_task(arguments, DINO)


def _list(kind: str, arguments: list[str]) -> None:
    parser_of(kind, f"Lists {kind}.").parse_args(arguments)
    with user_errors(kind):
        from cplearn_solo.cli import listing

        getattr(listing, kind)()


COMMANDS = {
    "check": check,
    "pretrain": pretrain,
    "linear": linear,
    "knn": knn,
    "clustering": clustering,
    "table": table,
    "tune": tune,
    "collapse": collapse,
    "embed": embed,
    "gallery": gallery,
    "duplicates": duplicates,
    "search": search,
    "predict": predict,
    "detect": detect,
    "export": export,
    "runs": runs,
    "solo-learn": _solo_learn,
    "dino": _dino,
    "methods": lambda arguments: _list("methods", arguments),
    "backbones": lambda arguments: _list("backbones", arguments),
    "datasets": lambda arguments: _list("datasets", arguments),
}
