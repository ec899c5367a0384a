"""Runs a cell in its folder: a training and its scores, or a reference row."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from cplearn_solo.config.read import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.engine.find import finished_runs
from cplearn_solo.evaluation.reference_rows import REFERENCE_ROWS, reference_row

CONFIG, FACTS = "config.yaml", "cell.json"  # in the folder: the configuration, and other facts
UNTRAINED = "untrained.ckpt"  # the network of a reference row that is measured
# Columns of metrics.csv that every result keeps for figures, besides those that its table draws.
CURVES = ("train_loss", "val_acc1", "collapse_correlation", "collapse_features_correlation")


def run_cell(folder: Path, pretrain: Callable[[DictConfig], None]) -> dict[str, Any]:
    """Runs the cell prepared in ``folder`` and returns its result; its run is made or resumed inside of ``folder``.

    ``pretrain`` trains with a configuration and leaves a finished run folder. In the processes that Lightning starts
    for a cell's other devices, the result is empty.
    """
    facts, raw = json.loads((folder / FACTS).read_text()), OmegaConf.load(folder / CONFIG)
    row, wanted = facts["row"], facts.get("measures", [])
    if row in REFERENCE_ROWS:
        found = reference_row(row, parse_config(raw))
        return {**_measured(found, wanted, folder, raw), "date": _today()}
    if not finished_runs(folder):
        pretrain(raw)
    from lightning.pytorch.utilities import rank_zero_only

    if rank_zero_only.rank != 0:
        return {}
    command = ["cplearn", "pretrain", "--config-path", str(folder), "--config-name", CONFIG]
    if not (finished := finished_runs(folder)):
        raise InputError("max_time is over; the same command goes on with the run")
    run = finished[-1]
    return {"command": shlex.join(command), **_measured(_trained(run), wanted, run, raw), "date": _today()}


def curves(run: Path, names: Iterable[str]) -> dict[str, list[float]]:
    """Columns of a run's metrics.csv; absent are those without a value."""
    from cplearn_solo.engine.log import EpochLog

    rows = EpochLog.read(run)
    found = {name: [round(row[name], 5) for row in rows if name in row] for name in names}
    return {name: values for name, values in found.items() if values}


def _trained(run: Path) -> dict[str, Any]:
    """Summary, fingerprint of the images, sizes in bytes and learning curves of a finished run."""
    from io import BytesIO

    import torch

    from cplearn_solo.engine.checkpoint import read_checkpoint
    from cplearn_solo.engine.find import LAST
    from cplearn_solo.engine.runs import DATA

    found: dict[str, Any] = {"summary": json.loads((run / "summary.json").read_text()), "run": str(run)}
    if (run / DATA).is_file():  # 0.2.0 wrote none
        found["data"] = json.loads((run / DATA).read_text())
    if (run / LAST).exists():
        weights = BytesIO()
        torch.save(read_checkpoint(run / LAST)["state_dict"], weights)
        found |= {"state_dict_bytes": weights.tell(), "checkpoint_bytes": (run / LAST).stat().st_size}
    return {**found, "curves": curves(run, CURVES)}


def _measured(found: dict[str, Any], wanted: list[str], place: Path, raw: DictConfig) -> dict[str, Any]:
    """``found`` with the table's additional measures: numbers in the summary, lists as curves.

    ``place``: the run, or the folder of a reference row, in which its untrained network is stored first.
    """
    if not wanted:
        return found
    from cplearn_solo.tables.measures import measure, store_untrained

    if "run" not in found:
        place = store_untrained(place / UNTRAINED, parse_config(raw))
    numbers, lists = measure(wanted, place)
    return {**found, "summary": found["summary"] | numbers, "curves": found.get("curves", {}) | lists}


def _today() -> str:
    return time.strftime("%Y-%m-%d")
