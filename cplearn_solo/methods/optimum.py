"""How close a CPLearn run is to the optimum of its theory (Theorem 1, Corollaries 2 and 3), for the collapse report."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import Tensor

from cplearn_solo.core.errors import InputError
from cplearn_solo.methods.base import ReportMeasure
from cplearn_solo.metrics.code_geometry import block_gap, code_alignment, orthonormality_gap
from cplearn_solo.objective import PackedDictionary

LARGEST_DICTIONARY = 1 << 24  # entries up to which the optimum's H^T H is computed


def optimum_measures(dictionary: PackedDictionary, unscale: float) -> list[ReportMeasure]:
    """The rows of the report.

    ``unscale``: factor that scales embeddings from length sqrt(f / n), with the training batch n of Eq. 1, to length
    sqrt(f).
    """

    def alignment(h: Tensor, codes: Tensor, last: Mapping[str, float]) -> float:
        used, code = codes.unique(return_inverse=True)
        w = PackedDictionary(dictionary.words[:, used], dictionary.f).tile(0, len(used))
        return code_alignment(h, w, code)

    def distance_from_identity(h: Tensor, codes: Tensor, last: Mapping[str, float]) -> float:
        return orthonormality_gap(h * (unscale / len(h) ** 0.5))  # rows of length sqrt(f / samples)

    def distance_at_optimum(h: Tensor, codes: Tensor, last: Mapping[str, float]) -> float:
        f, c = dictionary.f, dictionary.c
        if f * c > LARGEST_DICTIONARY:
            raise InputError(f"a dictionary of {f} x {c} is too large to multiply out")
        return orthonormality_gap(dictionary.tile(0, c).T / c**0.5)

    def bound(h: Tensor, codes: Tensor, last: Mapping[str, float]) -> float:
        return _logged(last, "train_loss") - _logged(last, "train_bound_gap")

    row = partial(ReportMeasure, "CPLearn's optimum")
    return [
        row(
            "gap to the strict bound",
            "nats above it, last epoch",
            lambda h, codes, last: _logged(last, "train_bound_gap"),
        ),
        row("strict bound", "nats, last epoch", bound),
        row(
            "mean assignment entropy",
            "nats, last epoch; 0: hard assignments",
            lambda h, codes, last: _logged(last, "train_assignment_entropy"),
        ),
        row("alignment with codes", "cosine of embedding and code; 1 at the optimum", alignment),
        row(
            "distance of H^T H from I",
            "Frobenius, relative, at Eq. 1's scale for all samples",
            distance_from_identity,
        ),
        row("the same at the optimum", "every code used alike by this dictionary", distance_at_optimum),
        row(
            "distance of H H^T from block-diagonal",
            "share of its square between codes",
            lambda h, codes, last: block_gap(h, codes),
        ),
    ]


def _logged(last: Mapping[str, float], key: str) -> float:
    if key not in last:
        raise InputError(f"no {key} in a metrics.csv")
    return last[key]
