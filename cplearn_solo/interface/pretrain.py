"""``cplearn_solo.pretrain``: a run from Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cplearn_solo.config.compose import composed
from cplearn_solo.core.errors import InputError, unknown
from cplearn_solo.core.scripts import SCRIPTS
from cplearn_solo.data.schema import KNOWN_IMAGES
from cplearn_solo.inference.images import dataset_at
from cplearn_solo.interface.checked import checked
from cplearn_solo.interface.run import Run
from cplearn_solo.interface.training import train_and_score

CONFIGS = SCRIPTS / "pretrain"
DIGITS, CUSTOM = "digits/cplearn.yaml", "custom/cplearn.yaml"
Data = str | Path | Mapping[str, Any]


def pretrain(data: Data | None = None, *, config: str | Path | None = None, **keys: Any) -> Run:
    """Trains a backbone without labels, scores it where there are labels, and returns its run.

    ``data``: a folder, list, archive or parquet file, the name of a data set on the Hugging Face hub, or one known by
    its name, such as ``cifar10``; or keys of ``data``, as ``{"train_path": "photos", "no_labels": True}``. ``config``:
    a YAML file, or one of those in ``scripts/pretrain``, by default ``digits/cplearn.yaml`` where the data is digits or
    left out, and else ``custom/cplearn.yaml``. ``keys`` are all other keys, which docs/configuration.md lists: nested,
    as ``optimizer={"lr": 0.01}``, or dotted, as ``**{"optimizer.lr": 0.01}``.

    The same call goes on with a run that was killed. With several devices each process returns the run, and the first
    one writes its scores. Raises ``InputError``, a ``ValueError`` of one line, for whatever makes no sense.
    """
    where = {} if data is None else _data_keys(data)
    chosen = config or (DIGITS if where.get("dataset", "digits") == "digits" else CUSTOM)
    raw = _configuration(chosen)
    for key, value in {**{f"data.{key}": value for key, value in where.items()}, **keys}.items():
        _set(raw, key, value)
    return Run(train_and_score(checked(raw)).path)


def _data_keys(data: Data) -> dict[str, Any]:
    if isinstance(data, Mapping):
        return {"dataset": "custom", **data} if "train_path" in data else dict(data)
    dataset = dataset_at(str(data))
    return {"dataset": dataset, "train_path": None if dataset in KNOWN_IMAGES else str(data)}


def _configuration(given: str | Path) -> DictConfig:
    """A file as given from here, else the same below the bundled ``scripts/pretrain``."""
    file = next((path for path in (Path(given), CONFIGS / given) if path.is_file()), None)
    if file is None:
        raise unknown("config", str(given), (str(path.relative_to(CONFIGS)) for path in CONFIGS.glob("*/*.yaml")))
    return composed(file.parent, file.stem)


def _set(raw: DictConfig, key: str, value: Any) -> None:
    value = str(value) if isinstance(value, Path) else value
    try:
        OmegaConf.update(raw, key, value, merge=True, force_add=True)
    except OmegaConfBaseException as error:
        raise InputError(f"{key} = {value!r}: {str(error).partition(chr(10))[0]}") from error
