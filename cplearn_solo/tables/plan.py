"""From a table and a user's request to cells: one configuration for each column, row and seed.

Nothing here needs a trainer, so that a finished table is shown without waiting for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cplearn_solo.config.list_keys import lists_told
from cplearn_solo.core.errors import InputError, reason_of, require, require_known, unknown
from cplearn_solo.evaluation.reference_rows import RAW_PIXELS, REFERENCE_ROWS
from cplearn_solo.tables.paper import config_name, load_table
from cplearn_solo.tables.schema import BASELINE, Column, GridConfig, Metric, Overrides, PaperTable, Setting

MOST_SEEDS = 1000


@dataclass(frozen=True)
class Cell:
    """One run of the grid; ``config`` is its pretraining configuration as plain types."""

    column: str
    row: str
    seed: int
    config: dict[str, Any] = field(compare=False)
    measures: tuple[str, ...] = field(default=(), compare=False)  # on the trained or untrained network, see measures.py
    curves: tuple[str, ...] = field(default=(), compare=False)  # columns of metrics.csv that the table draws

    @property
    def is_reference(self) -> bool:
        """Whether nothing is trained."""
        return self.row in REFERENCE_ROWS

    def __str__(self) -> str:
        return f"{self.row}, {self.column}, seed {self.seed}"


@dataclass(frozen=True)
class Grid:
    """All that is run and shown: ``setting`` at ``columns`` and ``seeds``, on ``dataset`` if the user names one."""

    request: GridConfig
    table: PaperTable
    setting: str
    dataset: str | None
    columns: dict[str, Column]
    seeds: list[int]
    cells: list[Cell]
    overrides: list[str]  # key=value, in every cell

    @property
    def folder(self) -> Path:
        """The folder of the results."""
        parts = (Path(self.request.table).stem, self.dataset, self.request.scale)
        return Path(self.request.results or f"results/{'-'.join(part for part in parts if part)}")

    @property
    def metrics(self) -> dict[str, Metric]:
        """The scores to show."""
        chosen = self.table.settings[self.setting].metrics
        return {key: metric for key, metric in self.table.metrics.items() if chosen is None or key in chosen}

    @property
    def baselines(self) -> list[str]:
        """Rows of methods other than the paper's own."""
        proposed = self.table.proposes
        rows = {row.name: row.configs.get(self.setting, row.config) for row in self.table.rows}
        return [name for name, file in rows.items() if proposed is not None and config_name(file) != proposed]


def plan(request: GridConfig, overrides: dict[str, Any], *, scripts: Path) -> Grid:
    """The grid that ``request`` describes; ``overrides``: nested pretraining keys for every cell.

    ``scripts`` is the folder with ``pretrain/``. Raises ``InputError`` naming the key, its value and the choices.
    """
    table = load_table(request.table)
    data = overrides.get("data", {})
    require(isinstance(data, dict), "data", data, "a mapping of keys to values")
    seed = overrides.get("seed")
    require(seed is None, "seed", seed, f"absent from a table, which has seeds: seeds=[{seed}]")
    dry = overrides.get("dry_run")
    require(not dry, "dry_run", dry, "false in a table: cplearn pretrain says what a run takes")
    dataset = data.get("dataset")
    require(dataset is None or isinstance(dataset, str), "data.dataset", dataset, "text")
    setting = _setting(request, table, dataset)
    columns = _columns(request, table, table.settings[setting], dataset)
    names = [*REFERENCE_ROWS, *(row.name for row in table.rows)]
    for name in request.rows or ():
        require_known(f"row of {request.table}:", name, names)
    shown = names if request.rows is None else [*REFERENCE_ROWS, *request.rows]
    seeds = _seeds(request.seeds)
    measures = (*table.measures, *table.settings[setting].measures)
    drawn = tuple({metric.curve: None for metric in table.metrics.values() if metric.curve})
    cells = [
        Cell(key, name, seed, {**config, "seed": seed}, () if name == RAW_PIXELS else measures, drawn)
        for key, column in columns.items()
        for name, config in _configs(table, setting, key, column, overrides, scripts)
        if name in shown
        for seed in seeds
    ]
    grid = Grid(request, table, setting, dataset, columns, seeds, cells, list(_dotted(overrides)))
    _check_against(grid, shown)
    return grid


def _check_against(grid: Grid, shown: list[str]) -> None:
    against = grid.request.against
    if against == BASELINE:
        some = any(name in shown for name in grid.baselines)
        require(some, "against", against, f"a row, as {grid.request.table} shows no method besides the paper's own")
    elif against is not None and against not in shown:
        raise unknown("against: row", against, [BASELINE, *shown])


def _setting(request: GridConfig, table: PaperTable, dataset: str | None) -> str:
    scales = [name for name in ("full", "midi", "mini") if name in table.settings]
    require_known(f"scale of {request.table}:", request.scale, scales)
    if dataset == "digits":
        require(request.scale == "mini", "scale", request.scale, "mini with data.dataset=digits, which no paper uses")
        return "digits"
    return request.scale


def _columns(request: GridConfig, table: PaperTable, setting: Setting, dataset: str | None) -> dict[str, Column]:
    columns = {key: table.columns[key] for key in setting.columns or table.columns}
    for name in request.columns or ():
        require_known(f"column of {request.table}:", name, columns)
    columns = {key: columns[key] for key in columns if request.columns is None or key in request.columns}
    per_dataset = any("data.dataset" in column.overrides.get("all", {}) for column in table.columns.values())
    if not (dataset and per_dataset):
        for key in ("compare_with", "label"):
            given = getattr(request, key)
            wanted = f"null unless data.dataset stands for a column, and the columns here are {', '.join(columns)}"
            require(given is None, key, given, wanted)
        return columns
    require(request.columns is None, "columns", request.columns, f"null with data.dataset={dataset}, the only column")
    if request.compare_with is not None and request.compare_with not in table.columns:
        raise unknown("compare_with", request.compare_with, table.columns)
    key = request.compare_with or dataset
    column = table.columns.get(key, Column(label=dataset))
    return {key: replace(column, label=request.label or column.label)}


def _seeds(given: Any) -> list[int]:
    seeds = list(range(min(given, MOST_SEEDS + 1))) if type(given) is int else given
    whole = isinstance(seeds, list) and seeds and all(type(s) is int and s >= 0 for s in seeds)
    different = bool(whole) and len(set(seeds)) == len(seeds)
    fits = different and len(seeds) <= MOST_SEEDS
    require(fits, "seeds", given, f"how many, at least 1 and at most {MOST_SEEDS}, or a list of different seeds")
    return seeds


def _configs(
    table: PaperTable, setting: str, key: str, column: Column, overrides: dict[str, Any], scripts: Path
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Row names and configurations of one column, reference rows first."""
    size = table.settings[setting]
    places = ("all", setting, key, f"{setting}.{key}")

    def compose(name: str, file: str, parts: list[Overrides]) -> dict[str, Any]:
        folder = scripts / "pretrain" / (Path(file).parent if "/" in file else size.folder)
        dotted = [part.get(place, {}) for part in parts for place in places]
        return _compose(f"{name}, {key}", folder / f"{config_name(file)}.yaml", column.value, dotted, overrides)

    reference = compose("reference rows", size.reference, [table.overrides, column.overrides])
    for name in REFERENCE_ROWS:
        yield name, reference
    for row in table.rows:
        file = row.configs.get(setting, row.config)
        yield row.name, compose(row.name, file, [table.overrides, column.overrides, row.overrides])


def _compose(
    where: str, path: Path, column: Any, dotted: Iterable[dict[str, Any]], overrides: dict[str, Any]
) -> dict[str, Any]:
    """The file's configuration with ``dotted`` overrides, which replace whole nodes, then with the user's."""
    require(path.parent.is_dir(), f"configuration of {where}", str(path), "in a folder of scripts/pretrain")
    if not path.is_file():
        raise unknown(f"configuration of {where}:", path.name, (p.name for p in path.parent.glob("*.yaml")))
    try:
        config = deepcopy(_read(path, path.stat().st_mtime_ns))
        for part in dotted:
            with lists_told(part, lambda: config):
                for key, value in part.items():
                    OmegaConf.update(config, key, value, merge=False)
        with lists_told((text.partition("=")[0] for text in _dotted(overrides)), lambda: config):
            config.merge_with(overrides, {"column": column})
        plain = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise InputError(f"{where}: {reason_of(error)}") from error
    del plain["column"]
    return plain


@cache
def _read(path: Path, changed: int) -> DictConfig:
    """Reads a file, again only if it has ``changed``, because many cells start from the same one."""
    return OmegaConf.load(path)


def _dotted(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _dotted(value, f"{path}{key}.")
        else:
            yield f"{path}{key}={value}"
