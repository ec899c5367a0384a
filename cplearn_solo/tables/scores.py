"""The numbers of a grid: each row's scores over its seeds, and the paper's numbers beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from cplearn_solo.tables.plan import Cell, Grid
from cplearn_solo.tables.results import Found, Record
from cplearn_solo.tables.schema import Metric

ABSENT = "–"  # shown for a missing number


@dataclass(frozen=True)
class Companion:
    """How a key of a run's summary is shown beside a paper's score."""

    heading: str
    shares_unit: bool = True  # whether it has the unit of that score
    decimals: int = 0  # where it has not
    better: str = "higher"  # higher, lower, neither


COMPANIONS = {
    "nmi_chance": Companion("NMI at chance", better="neither"),
    "ami": Companion("AMI"),
    "codes_used": Companion("codes used", shares_unit=False, better="neither"),
    "released_nmi_chance": Companion("NMI at chance", better="neither"),
    "released_ami": Companion("AMI"),
    "kmeans_ami": Companion("k-means AMI"),
    "linear_acc1": Companion("converged probe"),
    "linear_acc5": Companion("converged probe"),
    "paper_linear_acc1": Companion("probe by Adam, raw"),
    "knn_acc1": Companion("kNN"),
    "knn_cosine_acc1": Companion("kNN, raw cosine"),
    "online_acc1": Companion("online probe"),
    "online_raw_acc1": Companion("online probe, raw features"),
}

NMI = ("nmi", "released_nmi")  # without a best row: they grow with the number of codes, even of random ones
# Keys shown beside a score, because they help to judge it.
BESIDE = {
    "nmi": ("nmi_chance", "ami", "codes_used", "kmeans_ami"),
    "released_nmi": ("released_nmi_chance", "released_ami"),
    "linear_acc1": ("paper_linear_acc1", "knn_acc1", "kmeans_ami", "codes_used"),
    "paper_linear_acc1": ("linear_acc1", "knn_acc1", "kmeans_ami", "codes_used"),
    "paper_linear_acc5": ("linear_acc5",),
}
# Keys that results of earlier versions have instead.
EARLIER = {"knn_acc1": "knn_cosine_acc1", "online_acc1": "online_raw_acc1"}


@dataclass(frozen=True)
class Score:
    """Mean over seeds and sample standard deviation (``None`` with one seed) of ``count`` results."""

    mean: float
    spread: float | None
    count: int


@dataclass(frozen=True)
class Line:
    """A row in a column of the grid."""

    column: str
    row: str
    records: list[Record]  # of the cells that were run, in the order of seeds
    wanted: int

    @property
    def failed(self) -> list[Record]:
        """Records of failed runs."""
        return [record for record in self.records if "failed" in record]

    def by_seed(self, key: str | None) -> dict[int, float]:
        """Values by seed of a key of the summary, of another key of the record, or at the end of a curve."""
        values = {record["seed"]: _value(record, key) for record in self.records if "summary" in record}
        return {seed: value for seed, value in values.items() if value is not None}

    def score(self, key: str | None) -> Score | None:
        """The score of a key of :meth:`by_seed` over seeds; ``None`` without values."""
        values = list(self.by_seed(key).values())
        return Score(mean(values), stdev(values) if len(values) > 1 else None, len(values)) if values else None


def _value(record: Record, key: str | None) -> float | None:
    ends = {name: values[-1] for name, values in record.get("curves", {}).items()}
    value = {**ends, **record, **record["summary"]}.get(key)
    return value if isinstance(value, (int, float)) else None  # summaries hold text, too, such as the verdict


def lines(grid: Grid, found: Found) -> dict[str, list[Line]]:
    """The rows of each column in order, reference rows first."""
    cells: dict[tuple[str, str], list[Cell]] = {}
    for cell in grid.cells:
        cells.setdefault((cell.column, cell.row), []).append(cell)
    by_column: dict[str, list[Line]] = {column: [] for column in grid.columns}
    for (column, row), of_seeds in cells.items():
        records = [found.records[c] for c in of_seeds if c in found.records]
        by_column[column].append(Line(column, row, records, len(of_seeds)))
    return by_column


def companions(metric: Metric, in_column: Sequence[Line]) -> list[str]:
    """Keys to show beside a score, if at least one line has them."""
    measured = {
        key
        for line in in_column
        for record in line.records
        for key, value in record.get("summary", {}).items()
        if isinstance(value, (int, float))
    }
    keys = [*BESIDE.get(metric.key or "", ()), *metric.beside]
    return [key for key in (key if key in measured else EARLIER.get(key) for key in keys) if key in measured]


def companion(key: str) -> Companion:
    """How ``key`` is shown; if ``COMPANIONS`` lacks it, by its name and as it is: it may be seconds, or a loss."""
    return COMPANIONS.get(key, Companion(key, shares_unit=False, decimals=3, better="neither"))


def ranked(metric: Metric, beside: Sequence[str]) -> dict[str, str]:
    """The keys of ``metric`` and ``beside`` it that have a best value, which is ``higher`` or ``lower``."""
    own = metric.better or ("neither" if metric.key in NMI else "higher")
    better = {metric.key or "": own, **{key: companion(key).better for key in beside}}
    return {key: which for key, which in better.items() if key and which != "neither"}


def paper_column(grid: Grid, column: str) -> tuple[str, str, bool]:
    """The paper's column to show beside ours, its heading, and whether it is of the same images.

    For images that the paper lacks, its first column is shown for orientation: a difference would mean nothing.
    """
    if column not in grid.table.columns:
        first = next(iter(grid.table.columns))
        return first, f"paper, {grid.table.columns[first].label}", False
    own = grid.table.settings[grid.setting].same_images
    same = grid.table.same_images if own is None else own
    return column, "paper" if same else "paper, other images", same
