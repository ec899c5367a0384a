"""``cplearn`` and its subcommands; the top-level ``main_*.py`` scripts call them too."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

import cplearn_solo
from cplearn_solo.cli.hydra_app import hydra_app
from cplearn_solo.core.commands import typed
from cplearn_solo.core.errors import require
from cplearn_solo.core.user_errors import user_errors

USAGE = """usage: cplearn COMMAND ...

Self-supervised representations that do not collapse, and scores that tell.

  check        what a training would see of images     FOLDER [VAL]
  pretrain     train a backbone on unlabelled images   --config-name cplearn.yaml [key=value ...]
  linear       linear probe on a trained backbone      pretrained=RUN_OR_CHECKPOINT
  knn          k nearest neighbours                    pretrained=RUN_OR_CHECKPOINT
  clustering   codes and k-means against classes       pretrained=RUN_OR_CHECKPOINT
  table        a paper's table beside your runs        --config-name table1.yaml data.dataset=digits seeds=3
  tune         search for the keys of a method         --config-name cplearn.yaml data.train_path=FOLDER budget=20
  runs         what there is: state, age, scores       [FOLDER] [key=value ...] [--sort SCORE]
  collapse     which collapse runs have, as one page   RUN_OR_CHECKPOINT_OR_FEATURES ...
  embed        the vectors of your images in a file    RUN_OR_CHECKPOINT IMAGES OUT
  gallery      your images as one page to open         RUN_OR_CHECKPOINT IMAGES [OUT]
  predict      the classes of your images in a file    RUN_OR_CHECKPOINT IMAGES OUT
  duplicates   images that are nearly the same         RUN_OR_CHECKPOINT IMAGES
  search       images that are nearest to yours        RUN_OR_CHECKPOINT INDEX QUERY ...
  export       the backbone for other software         RUN_OR_CHECKPOINT OUT
  solo-learn   run a script of a solo-learn checkout   PATH/main_pretrain.py --config-path ... --config-name ...
  dino         run a DINO checkout with a method       PATH/main_dino.py --method cplearn ... -- [DINO's arguments]
  methods      list methods and their method_kwargs
  backbones    list backbones
  datasets     list data sets

cplearn COMMAND --help says more."""

CHECK = """Says what a training would see of images: kinds, classes, damaged and empty files, copies. Draws
32 of them in a contact sheet.

  cplearn check FOLDER                                        a sample of the images
  cplearn check FOLDER VAL --all                              every image, and scored ones
  cplearn check DATA.parquet data.dataset=parquet data.range=auto

FOLDER and VAL are whatever data.train_path and data.val_path take (docs/data.md). All keys of a pretraining are
keys here, such as data.no_labels=true for a folder without class folders, or augmentations.0.crop_size=224."""

PRETRAIN = """Trains a backbone without labels and scores it.

Keys are solo-learn's; any argument of Lightning's Trainer is a key too. docs/configuration.md lists them all.

  cplearn pretrain --config-name cplearn.yaml                       digits, about a minute, no download
  cplearn pretrain --config-path scripts/pretrain/cifar --config-name cplearn.yaml
  cplearn pretrain --config-name cplearn.yaml seed=1 method_kwargs.proj_output_dim=1024
  cplearn pretrain --config-name cplearn.yaml -m seed=0,1,2         one run after the other"""


TABLE = """Shows a table of the papers beside results of yours, and runs what is missing first.

  cplearn table --config-name table1.yaml data.dataset=digits seeds=3           Table 1, nothing to download
  cplearn table --config-name table1.yaml "rows=['CPLearn (10)']"               one row and the reference rows
  cplearn table --config-name table1.yaml against=baseline                      differences to the best baseline
  cplearn table --config-name table1.yaml scale=full                            the paper's settings
  cplearn table --config-name table1.yaml run=false                             only what is there
  cplearn table --config-name table1.yaml table=mine.yaml                       a table of your own

Keys, which docs/tables.md explains: table scale seeds rows columns compare_with label against run rerun_stale results
work workers launcher slurm. All others are pretraining keys that hold in every cell, such as data.train_path=FOLDER or
max_epochs=1. A cell that is done is never run again, and a killed grid goes on when the same command is typed again."""

# Keys of one call that the command under a table, which is to make all of it again, does without.
OF_ONE_CALL = ("run=", "rerun_stale=", "workers=", "work=", "launcher=", "slurm")

TUNE = """Searches for the learning rate and other keys of a method, with held-out training images as judges.

  cplearn tune --config-name cplearn.yaml                                       digits, nothing to download
  cplearn tune --config-name cplearn.yaml data.train_path=FOLDER budget=20      your own images
  cplearn tune --config-name cplearn.yaml data.train_path=FOLDER data.no_labels=true score=rankme
  cplearn tune --config-path scripts/pretrain/cifar_mini --config-name swav.yaml score=mean_rank workers=2

Keys, which docs/tune.md explains: budget score rungs sampler generation space results work workers launcher slurm. All
others are pretraining keys that hold in every trial. A killed search goes on when the same command is typed again."""

COLLAPSE = """Shows whether representations have collapsed and how: figures, a table and one page to open in a browser.

  cplearn collapse RUN                         a run folder, or a checkpoint
  cplearn collapse RUN RUN RUN                 side by side
  cplearn collapse RUN RUN RUN RUN --group     side by side, but a curve for runs that differ in the seed alone
  cplearn collapse RUN features.npy            beside features of other software

A tensor (n, d) in .npy or .pt is features; .npz, or a dict in .pt, holds 'features' and optionally 'embeddings' (n, f),
'labels' (n,) and 'codes' (n,). Runs are measured on their held-out images."""

RUNS = """Lists the runs below a folder, oldest first: done, running or killed, with epochs and scores.

  cplearn runs                                    those below ./runs
  cplearn runs results method=byol state=done     only some; any key of a configuration, and state
  cplearn runs --sort linear_acc1                 by a score of summary.json, the best first; or name, method, data, age

A killed run goes on when its command is typed again."""

SOLO_LEARN = """usage: cplearn solo-learn PATH/SCRIPT.py [solo-learn's own arguments]

Runs main_pretrain.py, main_linear.py, main_knn.py or main_umap.py of a solo-learn checkout (1.0.6; nothing has to be
installed) with every method of this package that it lacks, and the backbone cplearn_resnet8. The last two scripts need
a GPU. Without one, write devices="'1'": solo-learn wants something with a length, Lightning a number."""

DINO = """Runs main_dino.py of a checkout of facebookresearch/dino with a method of this package in the place of its
head, loss and teacher. All else, its arguments after -- included, stays DINO's; its evaluations load the checkpoints.

  cplearn dino PATH/main_dino.py --method cplearn --dict_size 131072 --beta 0.25 -- --arch vit_small --data_path FOLDER
  torchrun --nproc_per_node=8 --no-python cplearn dino ...                        several GPUs
  cplearn dino --write-patch FILE PATH                                            the same without this program

--KEY VALUE is any of the method's method_kwargs, which --method NAME --help lists; --dict_size is CPLearn's
proj_output_dim. After git apply FILE in the checkout, python main_dino.py --method NAME ... does the same."""


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
        from cplearn_solo.core.errors import unknown

        with user_errors("cplearn"):
            raise unknown("command", command, COMMANDS)


def check(arguments: list[str] | None = None) -> None:
    """What a training would see of images."""
    parser = argparse.ArgumentParser(
        prog="check", description=CHECK, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", metavar="FOLDER", help="images to train on")
    parser.add_argument(
        "others", nargs="*", metavar="[VAL] key=value", help="images to score on; keys of a pretraining"
    )
    parser.add_argument("--all", action="store_true", help="look at every image, not at a sample of 500")
    parser.add_argument("--sheet", metavar="FILE", default="check.png", help="contact sheet (default: %(default)s)")
    parser.add_argument("--config-name", "-cn", default="cplearn.yaml", help="pretraining (default: %(default)s)")
    parser.add_argument("--config-path", "-cp", default="scripts/pretrain/custom", help="folder (default: %(default)s)")
    options = parser.parse_intermixed_args(sys.argv[1:] if arguments is None else arguments)
    overrides = [f"data.train_path={options.train}", *options.others]
    if options.others and (os.path.exists(options.others[0]) or "=" not in options.others[0]):
        overrides[1] = f"data.val_path={options.others[0]}"

    def run(raw: Any) -> None:
        from cplearn_solo.cli.check import check_task

        check_task(raw, everything=options.all, sheet=options.sheet)

    place = ["-cp", options.config_path, "-cn", options.config_name]
    hydra_app(run, [*place, *overrides], program="check", folder="pretrain/custom", config="cplearn.yaml", about="")


def pretrain(arguments: list[str] | None = None) -> None:
    """Pretraining, then evaluation on frozen features."""
    hydra_app(
        _task("pretrain"),
        sys.argv[1:] if arguments is None else arguments,
        program="pretrain",
        folder="pretrain/digits",
        config="cplearn.yaml",
        about=PRETRAIN,
    )


def linear(arguments: list[str] | None = None) -> None:
    """Linear probe."""
    about = "Trains a linear classifier on frozen features; --config-name paper.yaml does it as the paper."
    _evaluate("linear", about, arguments)


def knn(arguments: list[str] | None = None) -> None:
    """k nearest neighbours."""
    _evaluate("knn", "Classifies by the k nearest training images in feature space.", arguments)


def clustering(arguments: list[str] | None = None) -> None:
    """Clustering scores."""
    _evaluate(
        "clustering", "Compares codes, and k-means clusters of the features, with classes; chance included.", arguments
    )


def table(arguments: list[str] | None = None) -> None:
    """A paper's table beside our results; what is missing is run first."""
    arguments = sys.argv[1:] if arguments is None else arguments

    def run(raw: Any) -> None:
        from cplearn_solo.cli.table import table_task

        whole = [a for a in arguments if not a.lstrip("+").startswith(OF_ONE_CALL)]
        table_task(raw, command=typed(["cplearn", "table", *whole]))

    hydra_app(run, arguments, program="table", folder="tables", config="table1.yaml", about=TABLE)


def tune(arguments: list[str] | None = None) -> None:
    """A search for the keys of a method."""
    arguments = sys.argv[1:] if arguments is None else arguments
    own_images = any(argument.lstrip("+").startswith("data.train_path=") for argument in arguments)
    folder = "pretrain/custom" if own_images else "pretrain/digits"
    given = any(argument.startswith(("-cp", "--config-path")) for argument in arguments)

    def run(raw: Any) -> None:
        from cplearn_solo.cli.tune import tune_task

        tune_task(raw, arguments, [] if given else ["--config-path", f"scripts/{folder}"])

    hydra_app(run, arguments, program="tune", folder=folder, config="cplearn.yaml", about=TUNE)


def collapse(arguments: list[str] | None = None) -> None:
    """The collapse report."""
    parser = argparse.ArgumentParser(
        prog="collapse", description=COLLAPSE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folder, checkpoint, or file of features")
    parser.add_argument(
        "--output", metavar="FOLDER", help="new folder (default: RUN/figures/TIME for one run, else collapse/TIME)"
    )
    parser.add_argument(
        "--images", type=int, default=10_000, metavar="N", help="most images or rows of each (default: %(default)s)"
    )
    parser.add_argument(
        "--max-components",
        type=int,
        default=200,
        metavar="N",
        help="most components of a Gaussian mixture; 1000 is the paper's protocol (default: %(default)s)",
    )
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="other data than the runs were trained on, as val_path=FOLDER; repeat for more keys",
    )
    parser.add_argument(
        "--group", action="store_true", help="mean and spread of runs that differ in the seed alone, as one curve"
    )
    parser.add_argument(
        "--protocol",
        default="standard",
        metavar="NAME",
        help="of spectra and entropies: standard, or released, as the released code of CPLearn (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of every random choice (default: %(default)s)")
    options = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    with user_errors("collapse"):
        for run in options.runs:
            require(os.path.exists(run), "RUN", run, "a run folder, a checkpoint or a file of features")
        from cplearn_solo.cli.collapse import report

        report(options)


def embed(arguments: list[str] | None = None) -> None:
    """Representations, codes and their confidence in a file."""
    from cplearn_solo.cli.embed import embed_task, read_options

    options = read_options(sys.argv[1:] if arguments is None else arguments)
    with user_errors("embed"):
        embed_task(options)


def gallery(arguments: list[str] | None = None) -> None:
    """Images as a model sees them, as one page."""
    from cplearn_solo.cli.gallery import read_options

    options = read_options(sys.argv[1:] if arguments is None else arguments)
    with user_errors("gallery"):
        from cplearn_solo.cli.gallery import gallery_task

        gallery_task(options)


def predict(arguments: list[str] | None = None) -> None:
    """Classes and their probabilities in a file."""
    from cplearn_solo.cli.predict import predict_task, read_options

    options = read_options(sys.argv[1:] if arguments is None else arguments)
    with user_errors("predict"):
        predict_task(options)


def search(arguments: list[str] | None = None) -> None:
    """Images of an index that are nearest to others."""
    from cplearn_solo.cli.search import read_options

    options = read_options(sys.argv[1:] if arguments is None else arguments)
    with user_errors("search"):
        from cplearn_solo.cli.search import search_task

        search_task(options)


def duplicates(arguments: list[str] | None = None) -> None:
    """Groups of images that are nearly the same."""
    from cplearn_solo.cli.duplicates import read_options

    options = read_options(sys.argv[1:] if arguments is None else arguments)
    with user_errors("duplicates"):
        from cplearn_solo.cli.duplicates import duplicates_task

        duplicates_task(options)


def _task(name: str) -> Callable[[Any], Any]:
    """The task of that name, imported when it runs: help and most errors need not wait for it."""

    def run(raw: Any) -> Any:
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
        about=f"{about}\n\n  cplearn {name} pretrained=RUN_OR_CHECKPOINT [key=value ...]",
    )


def _export(arguments: list[str]) -> None:
    with user_errors("export"):
        from cplearn_solo.cli.export import export

        export(arguments)


def _runs(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="runs", description=RUNS, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("given", nargs="*", metavar="[FOLDER] key=value", help="where to look (default: runs); filters")
    parser.add_argument("--sort", default="age", metavar="NAME", help="what to sort by (default: %(default)s)")
    options = parser.parse_intermixed_args(arguments)
    with user_errors("runs"):
        from cplearn_solo.cli.runs import list_runs

        folders = [text for text in options.given if "=" not in text or os.path.isdir(text)]
        require(len(folders) <= 1, "FOLDER", " ".join(folders), "one folder")
        filters = [text for text in options.given if text not in folders]
        list_runs(folders[0] if folders else "runs", dict(text.split("=", 1) for text in filters), options.sort)


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
    argparse.ArgumentParser(prog=kind, description=f"Lists {kind}.").parse_args(arguments)
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
    "export": _export,
    "runs": _runs,
    "solo-learn": _solo_learn,
    "dino": _dino,
    "methods": lambda arguments: _list("methods", arguments),
    "backbones": lambda arguments: _list("backbones", arguments),
    "datasets": lambda arguments: _list("datasets", arguments),
}
