"""``cplearn_solo.pretrain``: a run from Python."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Literal, overload

import numpy as np
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cplearn_solo.config.compose import composed
from cplearn_solo.config.list_keys import lists_told
from cplearn_solo.core.errors import InputError, reason_of, shown, unknown
from cplearn_solo.core.messages import messages_apart
from cplearn_solo.core.processes import is_first
from cplearn_solo.core.scripts import SCRIPTS
from cplearn_solo.core.surroundings import left_as_found, own_defaults
from cplearn_solo.data.schema import KNOWN_IMAGES
from cplearn_solo.data.sources.kinds import dataset_at
from cplearn_solo.interface.checked import checked
from cplearn_solo.interface.run import Run
from cplearn_solo.interface.training import take_stock, train_and_score

CONFIGS = SCRIPTS / "pretrain"
DIGITS, AUTO = "digits/cplearn.yaml", "auto/cplearn.yaml"
Place = str | os.PathLike[str]
Data = Place | Sequence[Place] | Mapping[str, Any]


_TRAINING = RLock()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """In this block no other thread trains: each step draws from generators that all threads share."""
    if not _TRAINING.acquire(blocking=False):
        print("another training of this program goes on; this one begins after it", flush=True)
        _TRAINING.acquire()
    try:
        yield
    finally:
        _TRAINING.release()


@contextmanager
def _others_apart() -> Iterator[None]:
    """In this block, messages of other packages go to the run's ``messages.log``; our warnings stay Python's."""
    with messages_apart(warnings.showwarning) as messages:
        try:
            yield
        finally:
            if is_first():
                messages.tell()


@overload
def pretrain(
    data: Data | None = None, *, config: str | Path | None = None, dry_run: Literal[False] = False, **keys: Any
) -> Run: ...


@overload
def pretrain(
    data: Data | None = None, *, config: str | Path | None = None, dry_run: Literal[True], **keys: Any
) -> None: ...


@_one_at_a_time()
@left_as_found()
@own_defaults()
@_others_apart()
def pretrain(
    data: Data | None = None, *, config: str | Path | None = None, dry_run: bool = False, **keys: Any
) -> Run | None:
    """Trains a backbone without labels, scores it where there are labels, and returns its run.

    ``data``: a folder, list, archive or parquet file, a Python list of several, the name of a data set on the Hugging
    Face hub, or a known name such as ``cifar10``; or keys of ``data``, as ``{"train_path": "photos", "no_labels":
    True}``. ``config``: a YAML file, or one of those in ``scripts/pretrain``; the default is ``digits/cplearn.yaml`` if
    ``data`` is digits or left out, and ``auto/cplearn.yaml`` otherwise. ``keys`` are all other keys of a configuration:
    nested, as ``optimizer={"lr": 0.01}``, or dotted, as ``**{"optimizer.lr": 0.01}``. With ``dry_run`` it only prints
    what the run would take, and returns ``None``.

    The same call goes on with a run that was killed, or that ``max_time`` has ended; a line says how. With several
    devices each process returns the run, and the first one writes its scores. Raises ``InputError``, a ``ValueError``
    of one line, for invalid input.
    """
    where = {} if data is None else _data_keys(data)
    chosen = config or (DIGITS if where.get("dataset", "digits") == "digits" else AUTO)
    raw = _configuration(chosen)
    for key, value in {**{f"data.{key}": value for key, value in where.items()}, "dry_run": dry_run, **keys}.items():
        _set(raw, key, value)
    complete = checked(raw)
    if complete.dry_run:
        take_stock(complete)
        return None
    finished = train_and_score(complete)
    if finished.unfinished:
        print(finished.unfinished, flush=True)
    return Run(finished.path)


def _data_keys(data: Data) -> dict[str, Any]:
    if isinstance(data, (list, tuple)):
        data = {"train_path": [_place(entry) for entry in data]}
    if isinstance(data, Mapping):
        found = {"dataset": "auto", "no_labels": "auto"} if "train_path" in data and "dataset" not in data else {}
        return {**found, **data}
    dataset = dataset_at(_place(data))
    if dataset in KNOWN_IMAGES:
        return {"dataset": dataset, "train_path": None}
    return {"dataset": dataset, "train_path": _place(data), "no_labels": "auto"}


def _place(given: Any) -> str:
    if not isinstance(given, (str, os.PathLike)):
        raise InputError(f"data = {shown(given)}: must be a path, as text too, a list of paths, or a dict of keys")
    return os.fsdecode(given)


def _configuration(given: str | Path) -> DictConfig:
    """The file ``given``, from the working folder, or else from the bundled ``scripts/pretrain``."""
    file = next((path for path in (Path(given).expanduser(), CONFIGS / given) if path.is_file()), None)
    if file is None:
        raise unknown("config", str(given), (str(path.relative_to(CONFIGS)) for path in CONFIGS.glob("*/*.yaml")))
    return composed(file.parent, file.stem)


def _set(raw: DictConfig, key: str, value: Any) -> None:
    try:
        with lists_told([key], lambda: raw):
            OmegaConf.update(raw, key, _plain(value), merge=True, force_add=True)
    except OmegaConfBaseException as error:
        raise InputError(f"{key} = {shown(value)}: {reason_of(error)}") from error


def _plain(value: Any) -> Any:
    """``value`` as a YAML file would have it, at any depth: paths as text, NumPy's numbers as Python's."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value.item() if isinstance(value, np.generic) else value
