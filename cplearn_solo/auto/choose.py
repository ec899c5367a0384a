"""From a configuration with keys that are ``auto`` to one with their values."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from cplearn_solo.config.compose import errors_told, not_utf8_told
from cplearn_solo.config.list_keys import value_at
from cplearn_solo.config.read import parse_config, resolved
from cplearn_solo.config.schema import Config
from cplearn_solo.core.errors import require
from cplearn_solo.data.checks import check_data, check_places
from cplearn_solo.data.schema import KNOWN_IMAGES, MAY_LACK_LABELS, DataConfig
from cplearn_solo.data.sources.kinds import dataset_at
from cplearn_solo.data.sources.parts import only_part
from cplearn_solo.engine.find import find_checkpoint

AUTO = "auto"
Plain = dict[str, Any]

# Keys that may be auto, in the order in which they are chosen, each with a temporary value: with these, all other keys
# are checked before any image is read. A key with None is absent until its rule gives a value.
STAND_INS: dict[str, Any] = {
    "name": AUTO,
    "data.dataset": "custom",
    "data.no_labels": False,
    "data.val_split": 0.0,
    "augmentations.N.crop_size": 32,
    "backbone.name": "resnet8",
    "backbone.kwargs.width": None,
    "optimizer.batch_size": 64,
    "optimizer.lr": 4e-3,
    "max_epochs": 100,
    "scheduler.warmup_epochs": 5,
    "precision": "32-true",
    "method_kwargs.proj_output_dim": 64,
    "method_kwargs.proj_hidden_dim": 64,
}
FEWEST_TO_SCORE, HELD_OUT = 100, 0.1  # labelled images, and the share of them that is held out
LONGEST = 40  # characters of a name that are those of a folder or file
WILD = re.compile(r"\{[^{}]*\}|\[[^][]*\]|[*?]")  # what stands for several places
ADAMS = ("adam", "adamw")  # optimizers whose learning rate is chosen
# Keys on which the choice of others depends.
DECIDING = {"backbone.name", "data.val_split", "max_epochs", "max_steps", "optimizer.batch_size", "optimizer.name"}
OF_CPLEARN = "method_kwargs."
OF_DATA = ("name", "data.")


class Chosen(NamedTuple):
    """A plain configuration without ``auto``, and a line for each key that was ``auto``."""

    values: Plain
    lines: list[str]


def choose(raw: DictConfig | Plain, *, held_out: float = 0.0) -> Chosen:
    """``raw`` with a value for each key that is ``auto``: the same for the same images and machine, or that of the run
    that ``resume_from_checkpoint`` names.

    ``held_out``: the share of labelled images that will be held out, although ``data.val_split`` has none.

    Raises ``InputError`` for a key that may not be ``auto``, for other invalid keys, and for images that cannot be
    trained on. If no key is ``auto``, no image is read.
    """
    values, lines = resolved(raw), []
    asked = _asked(values)
    for key, value in _of_the_run_that_goes_on(values, asked):
        _set(values, key, value)
        asked.remove(key)
        lines.append(f"{AUTO}  {key}={value}  as in the run that goes on")
    if not asked:
        return Chosen(values, lines)
    config = parse_config(_standing_in(values, asked))
    wanted = f"a number for method {config.method!r}: it is chosen for CPLearn's codes alone"
    optimizer, of_adam = config.optimizer.name, "a number for optimizer.name={}: it is chosen for adam alone"
    require("optimizer.lr" not in asked or optimizer in ADAMS, "optimizer.lr", AUTO, of_adam.format(optimizer))
    for key in asked:
        require(config.method == "cplearn" or not key.startswith(OF_CPLEARN), key, AUTO, wanted)
    for key, (value, why) in _of_data(config, asked, held_out):
        _set(values, key, value)
        if value is not None:
            lines.append(f"{AUTO}  {key}={value}  {why}")
    return Chosen(values, lines)


def following(raw: Plain, chosen: Plain, keys: Iterable[str]) -> Plain:
    """Values by key that ``choose`` has ``chosen`` for ``raw`` and that may change if ``keys`` have other values: all
    except those of the data, if one of ``keys`` affects others."""
    if not DECIDING.intersection(keys):
        return {}
    found = {key: value_at(chosen, key) for key in _asked(raw) if not key.startswith(OF_DATA)}
    return {key: value for key, value in found.items() if value is not None}


def _asked(values: Plain) -> list[str]:
    """The keys that are ``auto``, in the order in which they are chosen."""
    return [key for pattern in STAND_INS for key in _matching(values, pattern)]


def _of_the_run_that_goes_on(values: Plain, asked: list[str]) -> list[tuple[str, Any]]:
    """The ``asked`` keys that the resumed run has, with its values: others would be refused."""
    named = values.get("resume_from_checkpoint")
    if not (named and asked):
        return []
    _, run = find_checkpoint(named)
    if run is None:
        return []
    with errors_told(run / "config.yaml"), not_utf8_told(run / "config.yaml"):
        theirs = resolved(OmegaConf.load(run / "config.yaml"))
    return [(key, value) for key in asked if (value := value_at(theirs, key)) is not None]


def _of_data(config: Config, asked: list[str], held_out: float) -> Iterator[tuple[str, tuple[Any, str]]]:
    """Each ``asked`` key, with its value and the reason."""
    cfg = config.data
    if "data.dataset" in asked:
        cfg, why = _dataset(cfg)
        yield "data.dataset", (cfg.dataset, why)
        if cfg.train_path != config.data.train_path:
            yield "data.train_path", (cfg.train_path, "where downloads go")
    check_data(cfg)
    check_places(cfg)
    if "name" in asked:
        yield "name", (f"{config.method}-{_place(cfg)}", "of the method and the images")

    from cplearn_solo.auto.rules import RULES, Known  # imports the code that reads images, which takes a while
    from cplearn_solo.auto.seen import look_at
    from cplearn_solo.data.sources import DATASETS
    from cplearn_solo.data.sources.kinds import found_at

    if "data.no_labels" in asked:
        found = found_at(cfg)
        images, cfg = found.images, replace(cfg, no_labels=found.no_labels)
        check_data(cfg)
        yield "data.no_labels", (found.no_labels, found.why)
    else:
        images = DATASETS[cfg.dataset](cfg, False)[0]
    if "data.val_split" in asked:
        cfg, why = _held_out(cfg, len(images))
        yield "data.val_split", (cfg.val_split, why)
    if not cfg.no_labels:
        cfg = replace(cfg, val_split=cfg.val_split or held_out)
    seen = look_at(images, cfg, seed=config.seed, accelerator=config.trainer.get("accelerator") or AUTO)
    plain = config.plain()
    known = Known(seen, lambda key: value_at(plain, key))
    for key in asked:
        if not key.startswith(OF_DATA):
            value, why = RULES[re.sub(r"\.\d+\.", ".N.", key)](known)
            _set(plain, key, value)
            yield key, (value, why)


def _dataset(cfg: DataConfig) -> tuple[DataConfig, str]:
    path = cfg.train_path
    dataset = dataset_at(path) if isinstance(path, str) else _of_several(path)
    if dataset in KNOWN_IMAGES:
        return replace(cfg, dataset=dataset, train_path=DataConfig.train_path), "known by its name"
    return replace(cfg, dataset=dataset), f"reads {path}"


def _of_several(paths: Any) -> str:
    """What reads a list of paths, judged by the first of them."""
    first = paths[0] if isinstance(paths, list) and paths else None
    return "parquet" if isinstance(first, str) and dataset_at(first) == "parquet" else "custom"


def _place(cfg: DataConfig) -> str:
    """A word for where the images are: the last name in their path that says more than a wildcard or a part of a data
    set, as flowers of ``flowers/train/*``."""
    if cfg.dataset in KNOWN_IMAGES:
        return cfg.dataset
    first = cfg.train_path[0] if isinstance(cfg.train_path, list) else cfg.train_path
    path = Path(os.path.abspath(os.path.expanduser(str(first))))
    names = [path.name if path.is_dir() else path.stem, *(parent.name for parent in path.parents)]
    words = (_letters(WILD.sub("", name)) for name in names)
    return next((word[:LONGEST] for word in words if word and not only_part(word)), cfg.dataset)


def _letters(name: str) -> str:
    """The letters, numbers, ``.``, ``_`` and ``-`` of a name, in any script; all else becomes one ``-``."""
    composed = unicodedata.normalize("NFC", name)
    kept = (c if c.isalnum() or c in "._-" or unicodedata.category(c)[0] == "M" else " " for c in composed)
    return "-".join("".join(kept).split()).strip("-.")


def _held_out(cfg: DataConfig, images: int) -> tuple[DataConfig, str]:
    """Holds out images, because scores need labelled images that the run does not learn from."""
    if cfg.no_labels or images < FEWEST_TO_SCORE:
        return cfg, "no labels to score with" if cfg.no_labels else f"{images} images are too few to score on some"
    if cfg.val_path or cfg.dataset not in MAY_LACK_LABELS:
        return cfg, "there are other images to score on"

    from cplearn_solo.data.sources import own_scored_part

    if part := own_scored_part(cfg):
        return cfg, f"there is a {part} part to score on"
    return replace(cfg, val_split=HELD_OUT), "of the labelled images are held out, to score on"


def _matching(values: Plain, pattern: str) -> list[str]:
    """The keys that match ``pattern``, in which N is any index, and are ``auto``."""
    head, number, tail = pattern.partition(".N.")
    several = values.get(head)
    count = len(several) if number and isinstance(several, list) else 0
    keys = [f"{head}.{i}.{tail}" for i in range(count)] if number else [pattern]
    return [key for key in keys if value_at(values, key) == AUTO]


def _standing_in(values: Plain, asked: list[str]) -> Plain:
    values = deepcopy(values)
    for key in asked:
        _set(values, key, STAND_INS[re.sub(r"\.\d+\.", ".N.", key)])
    return values


def _set(values: Any, key: str, value: Any) -> None:
    """Sets an existing key; ``None`` removes it."""
    parent, _, last = key.rpartition(".")
    place = value_at(values, parent) if parent else values
    if value is None:
        place.pop(last, None)
    else:
        place[last] = value
