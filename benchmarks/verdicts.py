"""Which word runs get that are broken on purpose, and that healthy ones get none: the table of docs/collapse.md.

    python benchmarks/verdicts.py verdicts.jsonl [--cifar TRAIN.parquet TEST.parquet]

Runs that the file holds are not made again; one takes 5 to 15 s of a core. At the end all are printed as a table.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf
from shared import SCRIPTS
from tqdm import tqdm

from cplearn_solo.config.compose import composed
from cplearn_solo.interface.checked import checked
from cplearn_solo.interface.training import train_and_score
from cplearn_solo.metrics.verdict import CRITERIA

SHORT = "max_epochs=10"
METHODS = (
    "barlow_twins byol cplearn dino gedi gedi_nogen matrix_ssl matrix_ssl_kl mec mocov2plus self_classifier simclr "
    "simsiam swav vicreg wmse"
)
ON_CIFAR = "barlow_twins byol cplearn dino simclr simsiam swav vicreg"
SMALL = f"{SHORT} backbone.kwargs.width=16 data.max_train_images=1000"
SCORED = "data.max_val_images=500"
UNLABELLED = "data.no_labels=true data.val_path=null"
BROKEN = (  # the expected word, the configuration, and what was done to it
    ("representation", "vicreg", "method_kwargs.var_loss_weight=0"),
    ("dimensional", "vicreg", "method_kwargs.cov_loss_weight=0"),
    ("representation", "simsiam", "method_kwargs.stop_gradient=false"),
    ("cluster", "cplearn", "method_kwargs.beta=10"),
    ("cluster", "cplearn", "method_kwargs.beta=0"),
)
NOTHING, EARLY = "no better than chance", "too early to tell"
STILL = "optimizer.lr=1e-7"
FEW = "data.max_train_images=300 optimizer.lr=4e-3"
MANY_CODES = "method_kwargs.proj_output_dim=4096 method_kwargs.proj_hidden_dim=2048"
TEN_CODES = (
    "method_kwargs.proj_output_dim=10 method_kwargs.eps=1e-2 augmentations.0.rrc.crop_min_scale=0.9 "
    "augmentations.0.color_jitter.prob=0 augmentations.0.gaussian_noise.std=0"
)


MEASURES = [criterion.measure for criterion in CRITERIA]


class Wanted(NamedTuple):
    """A run that is expected to get the word ``made``, by ``changes`` of the configuration ``name`` in a folder of
    scripts/pretrain."""

    made: str
    folder: str
    name: str
    changes: str
    seed: int = 0

    @property
    def key(self) -> str:
        return f"{self.folder}/{self.name} {self.changes} seed={self.seed}"

    @property
    def shown(self) -> str:
        """The changes, by the last part of each key, without those that all runs on its images share."""
        usual = f"{SMALL} {SCORED}".split() if self.folder != "digits" else SHORT.split()
        changed = [change.split("=") for change in self.changes.split() if change not in usual]
        return " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in changed)


def wanted(cifar: bool) -> list[Wanted]:
    """All runs, the most informative first."""

    def digits(made: str, names: str, changes: str, seed: int = 0) -> list[Wanted]:
        return [Wanted(made, "digits", name, changes, seed) for name in names.split()]

    def photographs(made: str, names: str, changes: str) -> list[Wanted]:
        return [Wanted(made, "cifar_mini", name, f"{SMALL} {changes}".strip()) for name in names.split() if cifar]

    def broken(seed: int) -> list[Wanted]:
        return [Wanted(made, "digits", name, f"{SHORT} {how}", seed) for made, name, how in BROKEN]

    return [
        *broken(seed=0),
        *digits(NOTHING, "cplearn byol simclr", f"{SHORT} {STILL}"),
        *digits(NOTHING, "cplearn", f"{SHORT} {FEW} {MANY_CODES}"),
        *digits("healthy", METHODS, SHORT),
        *digits(EARLY, "cplearn vicreg", "max_epochs=1"),
        *photographs("healthy", ON_CIFAR, SCORED),
        *photographs("healthy", "simclr", UNLABELLED),
        *photographs(NOTHING, "byol", f"{UNLABELLED} {STILL}"),
        *photographs(NOTHING, "cplearn", f"{SCORED} {STILL}"),
        *(run for made, name, how in BROKEN for run in photographs(made, name, f"{SCORED} {how}")),
        *digits(NOTHING, "swav vicreg", f"{SHORT} {STILL}"),
        *digits("intracluster", "cplearn", f"max_epochs=30 {TEN_CODES}"),
        *digits("healthy", "cplearn", f"max_epochs=60 {FEW} method_kwargs.proj_output_dim=64"),
        *digits("healthy", "byol cplearn dino gedi gedi_nogen", SHORT, seed=1),
        *broken(seed=1),
    ]


def summary_of(run: Wanted, cifar: list[str] | None) -> dict[str, Any]:
    """Trains the run and returns its summary."""
    raw = composed(SCRIPTS / run.folder, run.name)
    with tempfile.TemporaryDirectory() as folder:
        changes = [*run.changes.split(), f"seed={run.seed}", f"checkpoint.dir={folder}", "checkpoint.enabled=false"]
        changes += ["enable_progress_bar=false", "accelerator=cpu", "evaluation.clustering=false"]
        if run.folder != "digits":
            train, test = (str(Path(path).resolve()) for path in cifar)
            changes = [f"data.val_path={test}", *changes, "data.dataset=parquet", f"data.train_path={train}"]
        for change in changes:
            key, _, value = change.partition("=")
            OmegaConf.update(raw, key, OmegaConf.create(f"value: {value}").value, force_add=True)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return train_and_score(checked(raw)).summary


def row(run: Wanted, done: dict[str, Any]) -> str:
    """A line of the table; an unexpected word is bold."""
    summary, random = done["summary"], done["summary"].get("random_backbone", {})
    measures = summary["verdict_measures"]
    numbers = [f"{measures[name]['value']:.2g}" if name in measures else "" for name in MEASURES]
    beside = [
        f"{summary[name]:.2f} ({random[name]:.2f})" if name in summary and name in random else ""
        for name in ("own_view_acc", "knn_acc1")
    ]
    word = summary["verdict"] if summary["verdict"] == run.made else f"**{summary['verdict']}**"
    data = "digits" if run.folder == "digits" else "CIFAR-10"
    return f"| {' | '.join([data, run.name, run.shown, str(run.seed), word, *numbers, *beside])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="of results, a line each; read and added to")
    parser.add_argument("--cifar", nargs=2, metavar=("TRAIN", "TEST"), help="parquet files of CIFAR-10")
    options = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    lines = options.file.read_text().splitlines() if options.file.is_file() else []
    done = {entry["run"]: entry for entry in map(json.loads, lines)}
    runs = wanted(cifar=bool(options.cifar))
    for run in tqdm([run for run in runs if run.key not in done], disable=None):
        done[run.key] = {"run": run.key, "made": run.made, "summary": summary_of(run, options.cifar)}
        with options.file.open("a") as file:
            file.write(json.dumps(done[run.key]) + "\n")
    print(f"| {' | '.join(['images', 'method', 'changed', 'seed', 'verdict', *MEASURES, 'views', 'kNN'])} |")
    print(f"|{'---|' * (7 + len(MEASURES))}")
    print("\n".join(row(run, done[run.key]) for run in runs if run.key in done))


if __name__ == "__main__":
    main()
