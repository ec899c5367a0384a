"""The default logger: a row per epoch in ``metrics.csv``, and a line per epoch on the terminal."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from cplearn_solo.core.errors import InputError, reason_of
from cplearn_solo.core.files import whole_file
from cplearn_solo.core.numbers import digits
from cplearn_solo.core.progress import duration, say

SHOWN = ("train_loss", "train_codes_used", "train_acc1", "val_acc1", "val_knn_acc1")


class EpochLog(Logger):
    """Keeps one row of averages per epoch in ``folder/metrics.csv``; a resumed run keeps the rows before its epoch."""

    def __init__(self, folder: Path, *, epochs: int, first_epoch: int = 0) -> None:
        super().__init__()
        self._file, self._epochs, self._first = folder / "metrics.csv", epochs, first_epoch
        self._began = time.perf_counter()
        self._whole = -1  # the latest epoch whose row is in the file
        kept = self.read(folder) if self._file.exists() else []
        whole = [(int(row["epoch"]), row) for row in kept if row["epoch"] < first_epoch]
        self._rows = {epoch: {**row, "epoch": epoch} for epoch, row in whole}

    @staticmethod
    def read(folder: Path) -> list[dict[str, float]]:
        """Rows of a run's ``metrics.csv``; a value that was not measured in an epoch is absent. ``InputError`` for a
        damaged file."""
        try:
            with open(folder / "metrics.csv", newline="") as file:
                rows = [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]
            for row in rows:
                row["epoch"]
        except (ValueError, TypeError, KeyError, OSError, csv.Error) as error:
            raise InputError(f"{folder / 'metrics.csv'} is damaged: {reason_of(error)}") from error
        return rows

    def has_row(self, epoch: int) -> bool:
        """Whether the complete row of ``epoch``, the latest one, is in the file."""
        return self._whole == epoch

    @property
    def name(self) -> str:
        return "epochs"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The run folder's config.yaml has them."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        epoch = int(metrics["epoch"])
        row = self._rows.setdefault(epoch, {"epoch": epoch})
        row.update({key: value for key, value in metrics.items() if key != "epoch"})
        columns = ["epoch", *sorted({key for row in self._rows.values() for key in row} - {"epoch"})]
        with whole_file(self._file) as partial, open(partial, "w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self._rows[e] for e in sorted(self._rows))
        if "train_loss" in metrics:  # the last metrics of an epoch to arrive
            self._whole = epoch
            values = "  ".join(f"{key.removeprefix('train_')} {digits(row[key], 4)}" for key in SHOWN if key in row)
            rate = row["train_images"] / row["train_seconds"]
            an_epoch = (time.perf_counter() - self._began) / (epoch + 1 - self._first)
            speed = f"{rate:.0f} images/s  {duration(an_epoch * (self._epochs - epoch - 1))} left"
            say(f"epoch {epoch + 1:>{len(str(self._epochs))}}/{self._epochs}  {values}  {speed}")
