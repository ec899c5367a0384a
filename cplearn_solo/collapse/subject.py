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
    """Facts of a subject that need no features: its run's plain configuration and number of logged epochs."""

    path: Path
    config: dict[str, Any] | None = None  # none for a file of features
    epochs: int = 0


@dataclass(frozen=True)
class Subject:
    """A run, a checkpoint or a file of features.

    ``features`` Z ``(n, d)``; ``embeddings`` H ``(n, f)``; ``labels`` ``(n,)``, -1 where unknown; ``codes`` ``(n,)``.
    Only for a run or checkpoint: ``images``, of which the samples are those at ``places`` ``(n,)``; ``confidence``
    ``(n,)`` in their codes; ``method`` and ``config``, as plain types; ``rows``, the epochs of the run's metrics.csv;
    ``kept``, the features of its kept checkpoints by epoch. ``released``: Z and H as in the released code, if the
    report shows them. ``verdict``: that of a finished run on its own images, or that it was too short.
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
    def seed(self) -> int:
        """The run's own seed, by which its scores are computed; 0 for a file."""
        return 0 if self.config is None else self.config["seed"]

    @property
    def origin(self) -> Origin:
        """The origin of the subject."""
        return Origin(self.path, self.config, len(self.rows))

    def part(self, name: str) -> Tensor | None:
        """Representation Z, or embeddings H, ``None`` without any."""
        return self.features if name == "Z" else self.embeddings


def checked(name: str, values: Tensor) -> Tensor:
    """``values`` as finite features of two samples or more; ``InputError`` for others."""
    values = check_features(name, values)
    require(len(values) >= 2, f"{name}.shape", tuple(values.shape), "(n, d) with n >= 2")
    return values


def choice(size: int, most: int, seed: int) -> Tensor:
    """At most ``most`` of ``size`` indices, sorted; the same for every subject of that size."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))[:most].sort().values


def described(chosen: int, size: int, kind: str) -> str:
    """The number and kind of the chosen samples, as text."""
    return f"{chosen:,} {kind}" if chosen == size else f"{chosen:,} of {size:,} {kind}"
