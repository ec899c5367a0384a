"""What the programs do and print once their configuration is composed.

Each checks its configuration before it imports the code that does the work, because the import takes seconds: a
mistake is reported at once.
"""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from cplearn_solo.cli.image_options import check_accelerator
from cplearn_solo.config.evaluation import ClusteringConfig, EvalConfig, KNNConfig, LinearConfig
from cplearn_solo.config.read_evaluation import parse_evaluation
from cplearn_solo.core.errors import require
from cplearn_solo.core.schema import read_schema
from cplearn_solo.core.stored import read_yaml
from cplearn_solo.data.checks import check_data, check_places
from cplearn_solo.data.schema import KNOWN_IMAGES, DataConfig
from cplearn_solo.data.sources.places import PATHS, places
from cplearn_solo.detection.schema import check_annotated, parse_detection
from cplearn_solo.engine.find import find_checkpoint
from cplearn_solo.interface.checked import checked

if TYPE_CHECKING:
    from cplearn_solo.data import Splits

LOOKS = (("gallery", "gallery.html"), ("embed", "vectors.parquet"))  # programs, and what they write


def pretrain_task(raw: DictConfig, *, references: bool = True) -> dict[str, Any] | None:
    """Trains, scores the frozen backbone, writes and returns ``summary.json``, and prints what to do next.

    ``references``: also scores chance and a random backbone. Returns ``None`` in processes of other devices, for an
    unfinished run, and for a dry run, which only estimates time and memory.
    """
    config = checked(raw)

    from cplearn_solo.cli.report import print_scores, print_verdict
    from cplearn_solo.interface.training import take_stock, train_and_score

    if config.dry_run:
        take_stock(config, references=references)
        return None
    run = train_and_score(config, references=references)
    summary = run.summary
    if summary is None:
        print(run.unfinished, end="\n" if run.unfinished else "")
        return None
    if "scored_on" not in summary:
        needed = "no labels" if config.data.no_labels else "no held-out images: set data.val_path or data.val_split"
        print(f"{needed}, so no scores")
    print_scores(f"{run.path}", {name: value for name, value in summary.items() if not name.startswith("verdict")})
    print_verdict(run.verdict)
    if config.checkpoint.enabled:
        print("\nnext:", *next_commands(run.path, run.splits, config.data), sep="\n  ")
    return summary


def next_commands(run: Path, splits: Splits, data: DataConfig) -> list[str]:
    """Commands to try after a run on these images: scores only if there are labels and held-out images."""
    images = data.dataset if data.dataset in KNOWN_IMAGES else data.train_path
    place, labels = shlex.quote(str(run)), splits.probe.labels
    labelled = bool(labels[labels >= 0].unique().numel() > 1)
    scores = ["linear", "knn", "clustering"] if labelled and splits.test is not None else []
    return [
        *(f"cplearn {command} {place}" for command in scores),
        f"cplearn collapse {place}",
        *(f"cplearn {what} {place} {shlex.quote(images)} {place}/{out}" for what, out in LOOKS if type(images) is str),
        f"cplearn export {place} {place}/backbone.pt",
    ]


def check_task(raw: DictConfig, *, everything: bool, sheet: str) -> None:
    """Prints how a training by ``raw`` would read its images, and writes a contact sheet to ``sheet``."""
    file = Path(sheet)
    a_file = file.name not in ("", "..") and file.parent.is_dir() and not file.is_dir()
    require(a_file, "--sheet", sheet, "a file in a folder that exists")
    config = checked(raw)
    _require_apart(file, config.data)

    from cplearn_solo.cli.check import look

    look(config, everything=everything, sheet=file)


def _require_apart(sheet: Path, data: DataConfig) -> None:
    """Raises ``InputError`` if the contact sheet would count as one of the images, or overwrite one."""
    folder = sheet.parent.resolve()
    for key in PATHS if data.dataset == "custom" else ():
        value = getattr(data, key)
        for place in filter(Path.is_dir, places(value, f"data.{key}") if value else ()):
            root = place.resolve()
            joins = folder.is_relative_to(root) and (data.no_labels or folder != root)
            require(not joins, "--sheet", str(sheet), f"outside of {place}, whose images it would join")


def evaluation_task(raw: DictConfig, *, schema: type[EvalConfig], title: str) -> None:
    """Evaluates a run as ``schema`` configures, with a bar of that title; prints the scores and adds them to the run's
    records."""
    config = parse_evaluation(raw, schema)
    check_accelerator(config.accelerator)
    _check_images(config)

    from cplearn_solo.cli.report import print_scores
    from cplearn_solo.core.progress import patience, shown
    from cplearn_solo.evaluation.programs import evaluate

    with patience("evaluation"), shown(title) as progress:
        found = evaluate(config, progress=progress)
    print_scores(str(config.pretrained), found.scores)
    if found.record:
        print(f"added to {found.record}")


def _check_images(config: EvalConfig) -> None:
    """Raises ``InputError`` if the images of a run, with the overrides of ``config``, do not exist."""
    _, run = find_checkpoint(config.pretrained)
    if run is not None:
        trained = read_yaml(run / "config.yaml")
        data = read_schema({**trained.get("data", {}), **config.data}, DataConfig)
        check_data(data)
        check_places(data)


def detect_task(raw: DictConfig) -> None:
    """Trains a detector on top of a run's backbone and prints its average precision."""
    config = parse_detection(raw)
    find_checkpoint(config.pretrained)
    check_annotated(config.data)
    check_accelerator(config.accelerator)

    from cplearn_solo.cli.report import print_scores
    from cplearn_solo.detection.train import RESULT, detect

    found = detect(config)
    if found:
        scores = {name: value for name, value in found.result.items() if "AP" in name}
        print_scores(f"{config.pretrained}, {found.result['scored_images']} images", scores)
        print(f"{found.folder}/{RESULT}")


TASKS = {
    "pretrain": pretrain_task,
    "linear": partial(evaluation_task, schema=LinearConfig, title="linear probe"),
    "knn": partial(evaluation_task, schema=KNNConfig, title="kNN"),
    "clustering": partial(evaluation_task, schema=ClusteringConfig, title="k-means"),
    "detect": detect_task,
}
