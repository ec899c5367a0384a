"""What a table's data file may say, and what a user may ask of a grid.

The dataclasses are OmegaConf structured configs, which need real types: no postponed annotations here.
"""

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

from omegaconf import MISSING

BASELINE = "baseline"  # value of ``against``: the best of all baselines
PLOTS = ("rows", "epochs", "spectrum")
# what measures.py has
MEASURES = ("classes", "detection_full", "detection_mini", "finetuned", "rare_classes", "spectrum")

# Overrides of pretraining keys by where they hold: "all", a setting (full, midi, mini, digits), a column,
# "setting.column"; later ones win. A value may refer to other keys, ${method_kwargs.proj_hidden_dim}, and to the
# column, ${column}.
Overrides = Dict[str, Dict[str, Any]]


@dataclass
class Setting:
    """One size at which a table can be run."""

    folder: str = MISSING  # of configurations, below scripts/pretrain
    note: str = MISSING  # what the size is, for readers of the results
    reference: str = "cplearn"  # configuration that the reference rows take backbone and images from
    columns: Optional[List[str]] = None  # the columns that can be run at this size; all
    metrics: Optional[List[str]] = None  # the scores that mean something at this size; all
    same_images: Optional[bool] = None  # where that differs from the table's
    measures: List[str] = field(default_factory=list)  # of a finished run, besides the table's


@dataclass
class Metric:
    """One score of a paper and the same of ours."""

    label: str = MISSING
    key: Optional[str] = None  # of a run's results; absent where nothing here measures it
    scale: float = 1.0  # from our unit to the paper's
    unit: str = ""  # the paper's
    decimals: int = 2  # that the paper prints
    better: Optional[str] = None  # higher, lower, neither: the best of a column; NMI has none, all others the highest
    paper: Optional[str] = None  # the score of another protocol whose printed numbers stand beside it, for orientation
    beside: List[str] = field(default_factory=list)  # more keys of a run's results to show with it
    curve: Optional[str] = None  # column of metrics.csv that ``plot: epochs`` draws


@dataclass
class Column:
    """A data set, or whatever else the paper varies beside its methods."""

    label: str = MISSING
    value: Any = None  # what ${column} stands for
    overrides: Overrides = field(default_factory=dict)


@dataclass
class Row:
    """A method, or a point of a curve. ``published``: column, then metric, then value or [value, spread]."""

    name: str = MISSING
    config: str = MISSING  # file in the setting's folder, or folder/file
    configs: Dict[str, str] = field(default_factory=dict)  # the same where a setting has its own
    x: Optional[float] = None  # where the row stands on a curve
    overrides: Overrides = field(default_factory=dict)
    trials: Dict[str, int] = field(default_factory=dict)  # of cplearn tune that chose its keys, by setting
    published: Dict[str, Dict[str, Any]] = field(default_factory=dict)
    note: str = ""


@dataclass
class PaperTable:
    """A results table or curve as its paper prints it."""

    title: str = MISSING
    source: str = MISSING  # paper and place
    protocol: str = ""  # what the printed numbers are of: backbone, seeds, epochs, machines
    document: str = ""  # file with the paper's text
    proposes: Optional[str] = None  # the paper's own method, by its configuration; rows of others are its baselines
    same_images: bool = True  # false: the paper's images are not ours, so that a difference would mean nothing
    metrics: Dict[str, Metric] = field(default_factory=dict)
    columns: Dict[str, Column] = field(default_factory=dict)
    rows: List[Row] = field(default_factory=list)
    settings: Dict[str, Setting] = field(default_factory=dict)
    overrides: Overrides = field(default_factory=dict)  # of every row
    measures: List[str] = field(default_factory=list)  # what is measured of a finished run besides its summary
    plot: Optional[str] = None  # rows: scores over the rows' x; epochs: scores over training; spectrum: of embeddings
    x_label: str = ""
    x_log: bool = False
    note: str = ""


@dataclass
class GridConfig:
    """Keys of ``cplearn table``; all others are pretraining keys that override every cell's."""

    table: str = MISSING  # a name in cplearn_solo/tables/papers, or a YAML file like those
    scale: str = "mini"  # full: the paper's settings; midi, mini: documented reductions
    seeds: Any = 3  # how many, from 0 up, or a list
    rows: Optional[List[str]] = None  # run and show only these, and the reference rows
    columns: Optional[List[str]] = None  # run and show only these
    compare_with: Optional[str] = None  # column of the paper that data.dataset stands for, where their names differ
    label: Optional[str] = None  # what data.dataset's images are called in the results
    against: Optional[str] = None  # show differences to this row, with intervals; baseline: to the best baseline
    run: bool = True  # false: show what is there
    rerun_stale: bool = False  # run cells again whose configuration has changed since; their old results are kept
    results: Optional[str] = None  # folder; default: results/<table>-<data>-<scale>
    work: str = "runs/tables"  # folder of the runs themselves
    workers: Optional[int] = None  # cells at a time; default: as devices, cores and memory allow
    launcher: str = "local"  # local, slurm
    slurm: Dict[str, Any] = field(default_factory=dict)  # submitit's parameters: timeout_min, slurm_partition, ...
