"""Options of a stage."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Options:
    """``device``: cuda, or cpu for a rehearsal at tiny sizes. ``seconds``: time after which the stage is ended."""

    out: str
    device: str
    seconds: float
    work: str  # folder for what need not be kept
    data: str | None = None  # folder of train.parquet and test.parquet
    rows: list[str] = field(default_factory=list)  # of Table 1; empty: all
    workers: int | None = None
    keep_mb: int = 45

    @property
    def tiny(self) -> bool:
        return self.device == "cpu"
