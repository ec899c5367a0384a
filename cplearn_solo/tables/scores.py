"""The numbers of a grid: each row's scores over its seeds, and what the paper prints beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean, stdev

from cplearn_solo.tables.plan import Cell, Grid
from cplearn_solo.tables.results import Found, Record

# What stands beside a score, because it says what the score is worth: key, heading, and whether it shares its unit.
COMPANIONS = {
    "nmi": (
        ("nmi_chance", "NMI at chance", True),
        ("ami", "AMI", True),
        ("codes_used", "codes used", False),
        ("kmeans_ami", "k-means AMI", True),
    ),
    "linear_acc1": (
        ("knn_acc1", "kNN", True),
        ("kmeans_ami", "k-means AMI", True),
        ("codes_used", "codes used", False),
    ),
}


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
        """Results that are none."""
        return [record for record in self.records if "failed" in record]

    def score(self, key: str | None) -> Score | None:
        """Of a key of the summary, or of the sizes beside it."""
        done = [{**record, **record["summary"]} for record in self.records if "summary" in record]
        values = [record[key] for record in done if key in record]
        return Score(mean(values), stdev(values) if len(values) > 1 else None, len(values)) if values else None


def lines(grid: Grid, found: Found) -> Iterator[Line]:
    """The rows of each column in order, reference rows first."""
    cells: dict[tuple[str, str], list[Cell]] = {}
    for cell in grid.cells:
        cells.setdefault((cell.column, cell.row), []).append(cell)
    for (column, row), of_seeds in cells.items():
        yield Line(column, row, [found.records[c] for c in of_seeds if c in found.records], len(of_seeds))


def paper_column(grid: Grid, column: str) -> tuple[str, str, bool]:
    """The paper's column to show beside ours, its heading, and whether it is of the same images.

    Beside images that the paper lacks stands its first column, for orientation: a difference would mean nothing.
    """
    if column not in grid.table.columns:
        first = next(iter(grid.table.columns))
        return first, f"paper, {grid.table.columns[first].label}", False
    own = grid.table.settings[grid.setting].same_images
    same = grid.table.same_images if own is None else own
    return column, "paper" if same else "paper, other images", same
