"""A paper's table, read from its data file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from yaml import YAMLError

from cplearn_solo.core.errors import InputError, require, require_known, unknown
from cplearn_solo.core.schema import read_schema
from cplearn_solo.evaluation.reference_rows import REFERENCE_ROWS
from cplearn_solo.tables.schema import BASELINE, MEASURES, PLOTS, Metric, PaperTable, Row, Setting

PAPERS = Path(__file__).parent / "papers"
SETTINGS = "settings.yaml"
TAKEN_ROWS = (*REFERENCE_ROWS, BASELINE)
TAKEN_COLUMNS = ("all", "full", "midi", "mini")  # places of overrides
MOST_DECIMALS = 15  # that a float has
OF_CELLS = ("seed", "dry_run")  # keys that each cell sets itself


def table_names() -> list[str]:
    """Names of the tables in the package."""
    return sorted(path.stem for path in PAPERS.glob("*.yaml") if path.name != SETTINGS)


def load_table(name: str) -> PaperTable:
    """The table of that name, or in the YAML file at that path.

    Raises ``InputError`` for an unknown name and for invalid content of a data file.
    """
    given = Path(name)
    path = given if given.suffix in (".yaml", ".yml") else PAPERS / f"{name}.yaml"
    if not path.is_file() or path == PAPERS / SETTINGS:
        if path is given:
            raise InputError(f"table = {name}: there is no such file")
        raise unknown("table", name, table_names())
    table = read_schema(_yaml(path), PaperTable, str(name))
    shared = _yaml(PAPERS / SETTINGS)
    table.settings = {
        key: read_schema(value, Setting, f"{SETTINGS}, {key}") for key, value in shared.items()
    } | table.settings
    _check(table, str(name))
    return table


def config_name(file: str) -> str:
    """Name of a row's configuration, which its file may be given with or without a folder and ``.yaml``."""
    return Path(file).name.removesuffix(".yaml")


def published(table: PaperTable, row: Row, column: str, metric: str) -> tuple[float, float | None] | None:
    """The paper's value and spread in its own unit; ``None`` if it prints no number."""
    printed = row.published.get(column, {}).get(metric)
    if printed is None:
        return None
    value, spread = printed if isinstance(printed, list) else (printed, None)
    return value, spread


def _yaml(path: Path) -> Any:
    try:
        return _kept(OmegaConf.to_container(OmegaConf.load(path), resolve=False))
    except (YAMLError, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {' '.join(str(error).split())}") from error


def _kept(value: Any) -> Any:
    """Escapes interpolations: they refer to the configuration into which an override will be merged."""
    if isinstance(value, dict):
        return {key: _kept(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_kept(item) for item in value]
    return value.replace("${", "\\${") if isinstance(value, str) else value


def _check(table: PaperTable, where: str) -> None:
    _check_names(table, where)
    places = {"all", *table.settings, *table.columns}
    places |= {f"{setting}.{column}" for setting in table.settings for column in table.columns}
    for name, size in table.settings.items():
        for kind, chosen, there in (("column", size.columns, table.columns), ("metric", size.metrics, table.metrics)):
            for key in chosen or ():
                require_known(f"{kind} of setting {name!r} in {where}", key, there)
    for name, metric in table.metrics.items():
        _check_shown(metric, f"{where}, metrics.{name}")
        if metric.better not in (None, "higher", "lower", "neither"):
            raise unknown(f"better of {where}", metric.better, ("higher", "lower", "neither"))
        if metric.paper is not None and metric.paper not in table.metrics:
            raise unknown(f"paper's metric of {where}", metric.paper, table.metrics)
    for measure in (*table.measures, *(name for size in table.settings.values() for name in size.measures)):
        require_known(f"measure of {where}", measure, MEASURES)
    for part in (table, *table.columns.values(), *table.rows):
        for place, keys in part.overrides.items():
            require_known(f"place of overrides in {where}", place, places)
            for key in OF_CELLS:
                require(key not in keys, f"{where}, overrides, {place}, {key}", keys.get(key), "left to the table")
    for row in table.rows:
        for key, given in (("configs", row.configs), ("trials", row.trials)):
            for setting in given:
                require_known(f"setting of {where}, row {row.name!r}, {key}", setting, table.settings)
        for setting, count in row.trials.items():
            require(count >= 0, f"{where}, row {row.name!r}, trials, {setting}", count, "at least 0")
        for column, scores in row.published.items():
            require_known(f"column of {where}, row {row.name!r},", column, table.columns)
            for metric, printed in scores.items():
                require_known(f"metric of {where}, row {row.name!r},", metric, table.metrics)
                of = f"{where}, row {row.name!r}, published {column}, {metric}"
                require(_is_printed(printed), of, printed, "a number, or [value, spread], the spread not below 0")
    _check_plot(table, where)


def _check_names(table: PaperTable, where: str) -> None:
    """Refuses names that stand for something else, or for nothing."""
    names = [row.name for row in table.rows]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InputError(f"{where}: row {sorted(twice)[0]!r} is there twice")
    for name in names:
        fits = name.strip() and len(name.splitlines()) == 1 and name not in TAKEN_ROWS
        require(fits, f"{where}, name of a row", name, f"one line of text, and not {', '.join(TAKEN_ROWS)}")
    for name in table.columns:
        fits = name and "/" not in name and name not in TAKEN_COLUMNS
        require(fits, f"{where}, name of a column", name, f"text without a slash, and not {', '.join(TAKEN_COLUMNS)}")
    for kind, there in (("columns", table.columns), ("metrics", table.metrics)):
        require(there, f"{where}, {kind}", there, "at least one")
    configs = {config_name(file) for row in table.rows for file in (row.config, *row.configs.values())}
    if table.proposes is not None and table.proposes not in configs:
        raise unknown(f"configuration that {where} proposes:", table.proposes, configs)


def _check_shown(metric: Metric, where: str) -> None:
    """Refuses what a number could not be shown with."""
    require(0 < metric.scale < math.inf, f"{where}.scale", metric.scale, "above 0")
    require(0 <= metric.decimals <= MOST_DECIMALS, f"{where}.decimals", metric.decimals, f"0 to {MOST_DECIMALS}")


def _is_printed(value: Any) -> bool:
    numbers = value if isinstance(value, list) and len(value) == 2 else [value]
    return all(type(number) in (int, float) for number in numbers) and all(spread >= 0 for spread in numbers[1:])


def _check_plot(table: PaperTable, where: str) -> None:
    if table.plot is not None and table.plot not in PLOTS:
        raise unknown(f"plot of {where}", table.plot, PLOTS)
    for row in table.rows if table.plot == "rows" else ():
        require(row.x is not None, f"{where}, row {row.name!r}, x", row.x, "a number with plot: rows")
    for name, size in table.settings.items() if table.plot == "epochs" else ():
        shown = size.metrics or list(table.metrics)
        drawn = any(table.metrics[key].curve for key in shown)
        require(drawn, f"{where}, metrics of setting {name!r}", shown, "one with a curve with plot: epochs")
