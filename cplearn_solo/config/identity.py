"""When two configurations are the same run: the keys that count, and the differences of two configurations in them.

A new key must not invalidate unfinished runs and kept results. A key that an older configuration lacks therefore has
the value with which the program does what it did before the key existed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, get_args

from cplearn_solo.config.earlier import EARLIER_DEFAULTS, with_earlier_defaults
from cplearn_solo.config.schema import Config
from cplearn_solo.core.errors import InputError
from cplearn_solo.data.schema import KNOWN_IMAGES, Augmentation
from cplearn_solo.data.sources.places import with_absolute_paths
from cplearn_solo.methods.catalog import method_facts

# Raised only when the same keys train a different model. RELEASES has the versions of releases that did not store it.
LEARNING_VERSION = 2
RELEASES = {"0.1.0": 1, "0.2.0": 2}

# Keys that came after 0.2.0, with the value with which the program does what it did before. A key of every
# augmentation is written augmentations.KEY, one of a method method_kwargs.KEY.
ADDED_KEYS: dict[str, Any] = {
    "backbone.weights": None,
    "data.background": "white",  # transparent pixels used to be visible: only runs on such files change
    "data.channels": 3,
    "data.imbalance": None,
    "data.range": None,
}

# Cases in which the same keys train a different model since 0.2.0, so that results are stale. Until then, which of the
# user's own images were held out depended on all of them; a teacher had its student's dropout; a ViT's positions were
# interpolated as in timm, and its class token began near 0; with max_steps, warm-ups and decays were shares of it.
DRAWN_BY_NAME = "data.val_split: drawn from all images there, by the name of each here"
TEACHER_KEEPS_ALL = "backbone.kwargs: dropout in the teacher there, none here"
BY_EPOCHS = "max_steps: schedules by shares of max_epochs there, by epochs here"
AS_DINO = "backbone.name: positions and class token as timm's there, as DINO's here"

# A run that goes on may be told to stop or not. A result counts only for what it was told: it may have fewer epochs.
MAY_STOP = "on_collapse: stop"

# They may change when a run is resumed by name; values that depend on them, such as learning rates, are printed.
DEVICES = ("devices", "num_nodes", "optimizer.batch_size", "strategy", "sync_batchnorm")

# Where images are. This identifies the user's own images, but does not count for data sets known by their names.
PATHS = ("data.train_path", "data.val_path")

# Keys that do not change the trained model, or only its rounding errors, which differ between devices anyway: a run may
# be resumed with other values.
NOT_IDENTITY = (
    "accelerator",
    "auto_resume",
    "checkpoint",
    "data.allow_overlap",
    "data.max_pixels",
    "data.max_unreadable",
    "data.num_workers",
    "dry_run",
    "enable_model_summary",
    "enable_progress_bar",
    "evaluation",
    "log_every_n_steps",
    "max_time",
    "method_kwargs.dictionary_parallel",
    "method_kwargs.impl",
    "method_kwargs.kept_logits_mb",
    "on_collapse",
    "performance.compile",
    "performance.graph",
    "performance.matmul_precision",
    "resume_from_checkpoint",
    "tensorboard",
    "wandb",
)

# Keys that may have 1 or 1.0 for the same: those that are numbers of any size, those that may be anything, and of
# numbers of any size the one that kept results have as a whole number, of MEC.
FLOATS = ("gradient_clip_val", "optimizer.kwargs.")
UNTYPED = ("backbone.kwargs.", "method_kwargs.")
KEPT_WHOLE = "method_kwargs.warmup_epochs"

# The Trainer's keys in which 1 is a number of batches and 1.0 is all of them.
BATCHES = ("limit_train_batches", "limit_val_batches", "overfit_batches", "val_check_interval")

# Lightning's other names of a precision; None is that of a configuration without one.
PRECISIONS = {"32": None, "32-true": None, "16": "16-mixed", "bf16": "bf16-mixed"}


def difference(ours: dict[str, Any], theirs: dict[str, Any], *, but: Sequence[str] = ()) -> list[str]:
    """Where two plain configurations would train different models: ``"optimizer.lr: 0.1 there, 0.2 here"``, ...

    ``theirs`` may be of an older release. A key that a configuration lacks has the value that the program uses without
    it. ``but``: keys that do not count. Paths are compared as absolute ones; relative ones, which runs of 0.2.0 stored,
    start at the working directory.
    """
    here, there = varying([ours, with_earlier_defaults(theirs)], but=but)
    shown = {key: ["absent" if value is None else value for value in (there[key], here[key])] for key in here}
    return [f"{key}: {a!r} there, {b!r} here" for key, (a, b) in shown.items()]


def varying(configs: Sequence[dict[str, Any]], *, but: Sequence[str] = ()) -> list[dict[str, Any]]:
    """For each plain configuration, the keys in which the configurations differ, sorted, with its values.

    Keys, paths and ``but`` count as in :func:`difference`.
    """
    configs = [with_absolute_paths(plain) for plain in configs]
    counting = [_counting(plain, but) for plain in configs]
    keys = sorted(set().union(*counting))
    sides = [{key: side.get(key, _without(key, plain)) for key in keys} for side, plain in zip(counting, configs)]
    differ = [key for key in keys if any(_differ(key, side[key], sides[0][key]) for side in sides)]
    return [{key: side[key] for key in differ} for side in sides]


def identifying(plain: dict[str, Any]) -> list[str]:
    """Lines to hash: one for each key that decides which model a complete plain configuration trains.

    Added keys are left out if they have the value that stands for the time before them. The wording is that of 0.2.0,
    because hashes name kept results: any other wording would rename all of them.
    """
    counting = {key: _worded(key, value, plain) for key, value in _counting(plain, ()).items()}
    earlier = EARLIER_DEFAULTS.get(plain.get("method", ""), {})
    before = {**ADDED_KEYS, **{f"method_kwargs.{key}": value for key, value in earlier.items()}}
    return _cases(plain, counting) + [
        f"{key}: 'absent' there, {value!r} here"
        for key, value in sorted(counting.items())
        if value is not None and not (_general(key) in before and before[_general(key)] == value)
    ]


def identifying_in(config: Config, *folders: str | Path) -> list[str]:
    """:func:`identifying`, for names in ``folders``.

    Programs that were started elsewhere may share a folder outside of the working directory. There, the same relative
    path leads to other images, so paths are absolute then.
    """
    here = Path.cwd().resolve()
    shared = any(not Path(folder).resolve().is_relative_to(here) for folder in folders)
    return identifying(config.stored() if shared else config.plain())


def learning_version(head: dict[str, Any]) -> int | None:
    """The learning version in ``head``, of a checkpoint or a results folder; ``None`` if it cannot be known."""
    if "learning_version" in head:
        return head["learning_version"]
    return RELEASES.get(head.get("cplearn-solo", "0.2.0"))


def _cases(plain: dict[str, Any], counting: dict[str, Any]) -> list[str]:
    own_images = counting.get("data.dataset") not in KNOWN_IMAGES
    dropout = any(value for key, value in counting.items() if key.startswith("backbone.kwargs.") and "drop" in key)
    cases = {
        BY_EPOCHS: (counting.get("max_steps") or -1) > 0,
        DRAWN_BY_NAME: own_images and counting.get("data.val_split"),
        TEACHER_KEEPS_ALL: dropout and method_facts(plain["method"]).teacher,
        AS_DINO: counting.get("backbone.name", "").startswith("vit_"),
        MAY_STOP: plain.get("on_collapse") == "stop",
    }
    return [line for line, holds in cases.items() if holds]


def _counting(plain: dict[str, Any], but: Sequence[str]) -> dict[str, Any]:
    """The keys that count, by their full name."""
    flat = _flat(plain)
    if "precision" in flat:
        flat["precision"] = PRECISIONS.get(str(flat["precision"]), flat["precision"])
    paths = PATHS if flat.get("data.dataset") in KNOWN_IMAGES else ()
    ignored = tuple(f"{name}." for name in (*NOT_IDENTITY, *paths, *but))
    return {key: value for key, value in flat.items() if not f"{key}.".startswith(ignored)}


def _differ(key: str, a: Any, b: Any) -> bool:
    return a != b or (key in BATCHES and type(a) is not type(b))


def _worded(key: str, value: Any, plain: dict[str, Any]) -> Any:
    """``value``; a number in the type of all that equal it: a float where such a one is taken, else whole if it is."""
    if type(value) not in (int, float) or not key.startswith(FLOATS + UNTYPED):
        return value
    taken = _of_method(plain, "arguments").get(key.removeprefix("method_kwargs."))
    if key.startswith(FLOATS) or (float in (taken, *get_args(taken)) and key != KEPT_WHOLE):
        return float(value)
    return int(value) if value % 1 == 0 else value


def _without(key: str, plain: dict[str, Any]) -> Any:
    """The value that the program uses if a plain configuration lacks ``key``; ``None`` if there is none."""
    general = _general(key)
    if general in ADDED_KEYS:
        return ADDED_KEYS[general]
    if general.startswith("method_kwargs."):
        return _of_method(plain, "defaults").get(general.partition(".")[2])
    return _defaults().get(general)


def _general(key: str) -> str:
    """``augmentations.1.rrc.enabled`` as ``augmentations.rrc.enabled``."""
    return ".".join(part for part in key.split(".") if not part.isdigit())


@cache
def _defaults() -> dict[str, Any]:
    of_views = {f"augmentations.{key}": value for key, value in _flat(asdict(Augmentation())).items()}
    return {**_flat(asdict(Config())), **of_views}


def _of_method(plain: dict[str, Any], what: str) -> dict[str, Any]:
    """The ``arguments`` or ``defaults`` of a plain configuration's method."""
    try:
        return getattr(method_facts(plain.get("method", "")), what)
    except InputError:  # of a package that is not installed here
        return {}


def _flat(values: Any, path: str = "") -> dict[str, Any]:
    if isinstance(values, dict):
        items = list(values.items())
    elif isinstance(values, list) and any(isinstance(v, dict) for v in values):
        items = list(enumerate(values))
    else:
        return {path: values}
    return {k: v for key, value in items for k, v in _flat(value, f"{path}.{key}" if path else str(key)).items()}
