"""What a report compares: a run, a checkpoint or a file of features."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cplearn_solo.core.errors import require
from cplearn_solo.data import ImageSet
from cplearn_solo.methods import Method
from cplearn_solo.metrics.checks import check_features
from cplearn_solo.metrics.verdict import Verdict

PARTS = ("Z", "H")  # representation and embeddings


class Origin(NamedTuple):
    """What is known of a subject before its features are: its run's plain configuration and logged epochs."""

    path: Path
    config: dict[str, Any] | None = None  # of a file of features there is none
    epochs: int = 0


@dataclass(frozen=True)
class Subject:
    """A run, a checkpoint or a file of features.

    ``features`` Z ``(n, d)``; ``embeddings`` H ``(n, f)``; ``labels`` ``(n,)``, -1 where unknown; ``codes`` ``(n,)``.
    ``images`` are known of a run or checkpoint, of which the samples are those at ``places`` ``(n,)``, and the
    ``confidence`` ``(n,)`` in their codes. ``rows`` are the epochs of a run's metrics.csv, ``kept`` the features of its
    kept checkpoints by epoch. ``method`` and ``config``, plain, are those of a run or checkpoint, ``None`` for a file
    of features. ``released`` has Z and H as the released code takes them, where the report shows those. ``verdict`` was
    given before, to a finished run on its own images, or says that the run was too short to be judged.
    """

    names: tuple[str, ...]  # from short to long
    path: Path
    samples: str  # what the n samples are
    features: Tensor
    embeddings: Tensor | None = None
    labels: Tensor | None = None
    codes: Tensor | None = None
    confidence: Tensor | None = None
    codes_total: int | None = None
    entropies: tuple[float, float] | None = None
    classes: tuple[str, ...] = ()
    images: ImageSet | None = None
    places: Tensor | None = None
    method: Method | None = None
    config: dict[str, Any] | None = None
    run: Path | None = None
    rows: list[dict[str, float]] = field(default_factory=list)
    kept: dict[int, Tensor] = field(default_factory=dict)
    released: dict[str, Tensor] = field(default_factory=dict)
    verdict: Verdict | None = None

    @property
    def origin(self) -> Origin:
        """Where it comes from."""
        return Origin(self.path, self.config, len(self.rows))

    def part(self, name: str) -> Tensor | None:
        """Representation Z, or embeddings H if there are any."""
        return self.features if name == "Z" else self.embeddings


def checked(name: str, values: Tensor) -> Tensor:
    """Finite features of two samples or more."""
    values = check_features(name, values)
    require(len(values) >= 2, f"{name}.shape", tuple(values.shape), "(n, d) with n >= 2")
    return values


def choice(size: int, most: int, seed: int) -> Tensor:
    """At most ``most`` of ``size`` indices, sorted; the same for every subject of that size."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))[:most].sort().values


def described(chosen: int, size: int, kind: str) -> str:
    """How many samples of what kind were chosen."""
    return f"{chosen:,} {kind}" if chosen == size else f"{chosen:,} of {size:,} {kind}"
