"""What a user may ask of a search, and what a file of search spaces may say.

The dataclasses are OmegaConf structured configs, which need real types: no postponed annotations here.
"""

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

SAMPLERS = ("auto", "tpe", "random")
ALL = "all"  # the section of a file of spaces that holds for every method


@dataclass
class Domain:
    """The values that one key may have: ``choices``, or a range, from ``low`` to ``high`` or as ``times``.

    Whole numbers where both ends of a range are, or the value in the configuration of which there are ``times``.
    """

    choices: Optional[List[Any]] = None
    low: Any = None
    high: Any = None
    log: bool = False  # evenly in the logarithm
    times: Optional[List[float]] = None  # [a, b]: from a to b times the configuration's value, in the logarithm


@dataclass
class TuneConfig:
    """Keys of ``cplearn tune``; all others are pretraining keys that hold in every trial."""

    budget: int = 16  # trials; the first is the configuration as it is
    score: str = "linear_acc1"  # by which trials are compared: a name in cplearn_solo/tuning/scores.py
    rungs: int = 3  # 1: all trials train to the end; 2: half of them, 3: a quarter, the others end before
    sampler: str = "auto"  # tpe (Optuna), random; auto: tpe where Optuna is installed
    generation: int = 4  # trials that tpe suggests from the same results, so as many can run at a time
    space: Optional[str] = None  # YAML file of search spaces; default: scripts/tune/spaces.yaml
    results: str = "results/tune"  # folder in which the search has its own
    work: str = "runs/tune"  # folder of the runs themselves
    workers: Optional[int] = None  # trials at a time; default: as devices, cores and memory allow
    launcher: str = "local"  # local, slurm
    slurm: Dict[str, Any] = field(default_factory=dict)  # submitit's parameters: timeout_min, slurm_partition, ...
