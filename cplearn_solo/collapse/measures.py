"""The rows of the report's table: what is measured on every subject, and why a number is absent."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from cplearn_solo.collapse.entropy import unit_scale
from cplearn_solo.collapse.sources import CodeSpace, Subject
from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics import ami, codes_used, effective_rank, kmeans_ami, nmi, nmi_at_chance
from cplearn_solo.metrics.code_geometry import block_gap, code_alignment, orthonormality_gap
from cplearn_solo.metrics.collapse import (
    code_entropy,
    dimension_variances,
    largest_share,
    mean_correlation,
    power_law_exponent,
    rankme,
    spectrum_auc,
    spread,
    stable_rank,
)
from cplearn_solo.metrics.intracluster import (
    gaussian_entropy,
    inter_class_effective_rank,
    intra_class_effective_rank,
    pairwise_entropy,
    within_cluster_variance,
)
from cplearn_solo.objective.packed import PackedDictionary

PAIRED_SAMPLES = 2000  # rows of estimators whose cost grows faster than the number of samples
NOISE = 1e-3  # of the log-determinant entropy in each direction, relative to the mean variance
# Noise of the pairwise entropy relative to the variance of all dimensions together: samples this close count as one.
# In many dimensions a smaller one tells any two samples apart, whether they have collapsed or not
CLOSE = 0.05
LARGEST_DICTIONARY = 1 << 24  # entries of which the optimum's H^T H is still computed


@dataclass(frozen=True)
class Cell:
    """A measured value and the largest it could have, or the reason for its absence."""

    value: float | None
    reason: str = ""
    of: float | None = None


@dataclass(frozen=True)
class Measure:
    """One row: ``compute`` raises ``InputError`` with the reason where a subject cannot have the number.

    ``of`` is the largest value it could have. ``same_dimension``: the part, Z or H, that must have one dimension in all
    subjects for the numbers to compare.
    """

    section: str
    title: str
    note: str
    compute: Callable[[Subject], float]
    of: Callable[[Subject], float | None] = lambda subject: None
    same_dimension: str | None = None


def measure(row: Measure, subject: Subject) -> Cell:
    """The cell of ``row`` and ``subject``."""
    try:
        value, of = float(row.compute(subject)), row.of(subject)
    except InputError as error:
        return Cell(None, str(error))
    return Cell(value, of=of) if math.isfinite(value) else Cell(None, f"the result is {value}")


# --- what a measure needs, or the reason why it is left out -------------------------------------------------------


def representation(subject: Subject) -> Tensor:
    """Z ``(n, d)``."""
    return subject.features


def embeddings(subject: Subject) -> Tensor:
    """H ``(n, f)``."""
    if subject.embeddings is None:
        raise InputError("no embeddings: there are features only")
    return subject.embeddings


def codes(subject: Subject) -> Tensor:
    """The code of each sample ``(n,)``."""
    if subject.codes is None:
        raise InputError("no code assignment")
    return subject.codes


def clustered(subject: Subject) -> Tensor:
    """The space in which the codes are assigned: embeddings where there are any."""
    return subject.features if subject.embeddings is None else subject.embeddings


def classes(subject: Subject) -> tuple[Tensor, Tensor]:
    """Which samples have a label ``(n,)``, and their labels, of two or more classes."""
    if subject.labels is None:
        raise InputError("no labels")
    known = subject.labels >= 0
    labels = subject.labels[known]
    if len(labels.unique()) < 2:
        raise InputError("one class only: needs at least two")
    return known, labels


def code_space(subject: Subject) -> CodeSpace:
    """A CPLearn run's dictionary and scale."""
    if subject.code_space is None:
        raise InputError("no CPLearn run")
    return subject.code_space


# --- measures that need more than one call ------------------------------------------------------------------------


def _by_class(metric: Callable[[Tensor, Tensor], float], subject: Subject) -> float:
    known, labels = classes(subject)
    return metric(subject.features[known], labels)


def _codes_by_class(metric: Callable[[Tensor, Tensor], float], subject: Subject) -> float:
    known, labels = classes(subject)
    return metric(codes(subject)[known], labels)


def _some(rows: Tensor) -> Tensor:
    """The same choice for all of one length, not the first ones: data sets are often in the order of their classes."""
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:PAIRED_SAMPLES]
    return rows[chosen.sort().values]


def _kmeans(subject: Subject) -> float:
    known, labels = classes(subject)
    return kmeans_ami(_some(subject.features[known]), _some(labels))


def _told_apart(part: Callable[[Subject], Tensor], subject: Subject) -> float:
    values = _some(unit_scale(part(subject)))
    noise = CLOSE * values.shape[1]
    return pairwise_entropy(values, noise=noise) - pairwise_entropy(values[:1], noise=noise)


def _logdet(part: Callable[[Subject], Tensor], subject: Subject) -> float:
    values = unit_scale(part(subject))
    n, d = values.shape
    if n <= d:
        raise InputError(f"{n} samples are too few for {d} dimensions: directions would be empty without a collapse")
    return gaussian_entropy(values, noise=NOISE)


def _all_samples_scale(subject: Subject) -> Tensor:
    """Embeddings at Eq. 1's scale with all samples in place of the batch: rows of length sqrt(f / samples)."""
    unscale, h = code_space(subject).unscale, embeddings(subject)
    return h * (unscale / len(h) ** 0.5)


def _alignment(subject: Subject) -> float:
    space = code_space(subject)
    used, code = codes(subject).unique(return_inverse=True)
    w = PackedDictionary(space.dictionary.words[:, used], space.dictionary.f).tile(0, len(used))
    return code_alignment(embeddings(subject), w, code)


def _optimal_gap(subject: Subject) -> float:
    w = code_space(subject).dictionary
    if w.f * w.c > LARGEST_DICTIONARY:
        raise InputError(f"a dictionary of {w.f} x {w.c} is too large to multiply out")
    return orthonormality_gap(w.tile(0, w.c).T / w.c**0.5)


def _logged(key: str, subject: Subject) -> float:
    code_space(subject)
    if not subject.rows or key not in subject.rows[-1]:
        raise InputError(f"no {key} in a metrics.csv")
    return subject.rows[-1][key]


def _bound(subject: Subject) -> float:
    return _logged("train_loss", subject) - _logged("train_bound_gap", subject)


def _block_gap(subject: Subject) -> float:
    code_space(subject)
    return block_gap(embeddings(subject), codes(subject))


def _num_codes(subject: Subject) -> int:
    """How many codes there are; of a file, which does not say, those up to the last in use."""
    return subject.codes_total or int(codes(subject).max()) + 1


# --- the table ----------------------------------------------------------------------------------------------------


def _spectral(section: str, part: Callable[[Subject], Tensor]) -> list[Measure]:
    def of(metric: Callable[[Tensor], float]) -> Callable[[Subject], float]:
        return lambda subject: metric(part(subject))

    dimensions = of(lambda values: values.shape[1])
    directions = of(lambda values: min(len(values) - 1, values.shape[1]))
    row = partial(Measure, section)
    return [
        row("dimensions", "", dimensions),
        row("distance to constant", "0: all samples at one point; 1: mean at the origin", of(spread)),
        row("mean variance", "per dimension, at the scale they have", of(lambda v: dimension_variances(v).mean())),
        row("effective rank", "directions in use, by singular values", of(effective_rank), of=directions),
        row("RankMe", "the same without centring", of(rankme), of=of(lambda v: min(v.shape))),
        row("stable rank", "total variance over the largest", of(stable_rank), of=directions),
        row("mean |correlation|", "of two dimensions; 0: decorrelated", of(mean_correlation)),
        row("AUC of the spectrum", "0.5: all directions alike; 1: one direction", of(spectrum_auc)),
        row("power-law exponent", "decay of the spectrum; 0: all directions alike", of(power_law_exponent)),
    ]


CLUSTER, WITHIN, OPTIMUM = "Codes", "Within clusters and classes", "CPLearn's optimum"
MEASURES: tuple[Measure, ...] = (
    *_spectral("Representation Z", representation),
    *_spectral("Embeddings H", embeddings),
    Measure(CLUSTER, "codes in use", "on these samples", lambda s: codes_used(codes(s)), of=lambda s: s.codes_total),
    Measure(
        CLUSTER,
        "entropy of the codes' shares",
        "nats; 0: one code",
        lambda s: code_entropy(codes(s), _num_codes(s)),
        of=lambda s: s.codes_total and math.log(min(s.codes_total, len(s.codes))),
    ),
    Measure(CLUSTER, "largest code's share", "1: one code", lambda s: largest_share(codes(s), _num_codes(s))),
    Measure(CLUSTER, "AMI of codes and classes", "corrected for chance", partial(_codes_by_class, ami)),
    Measure(CLUSTER, "NMI of codes and classes", "grows with the codes in use", partial(_codes_by_class, nmi)),
    Measure(CLUSTER, "NMI at chance", "the same codes, labels permuted", partial(_codes_by_class, nmi_at_chance)),
    Measure(WITHIN, "k-means AMI of Z", f"at most {PAIRED_SAMPLES:,} samples", _kmeans),
    Measure(
        WITHIN, "intra-class effective rank of Z", "mean over classes", partial(_by_class, intra_class_effective_rank)
    ),
    Measure(
        WITHIN,
        "inter-class effective rank of Z",
        "of the class means",
        partial(_by_class, inter_class_effective_rank),
        of=lambda s: len(classes(s)[1].unique()) - 1,
    ),
    Measure(
        WITHIN,
        "within-class variance of Z",
        "share of all variance; 0: each class a point",
        partial(_by_class, within_cluster_variance),
    ),
    Measure(
        WITHIN,
        "within-code variance",
        "of H, or of Z without H; 0: each code a point",
        lambda s: within_cluster_variance(clustered(s), codes(s)),
    ),
    *(
        Measure(
            WITHIN,
            f"pairwise entropy of {name}",
            f"nats above one point's, of at most {PAIRED_SAMPLES:,} samples; log k: k groups told apart",
            partial(_told_apart, part),
            of=lambda s, part=part: math.log(min(PAIRED_SAMPLES, len(part(s)))),
        )
        for name, part in (("Z", representation), ("H", embeddings))
    ),
    *(
        Measure(
            WITHIN,
            f"log-determinant entropy of {name}",
            "nats, of one Gaussian at unit scale",
            partial(_logdet, part),
            same_dimension=name,
        )
        for name, part in (("Z", representation), ("H", embeddings))
    ),
    Measure(OPTIMUM, "gap to the strict bound", "nats above it, last epoch", partial(_logged, "train_bound_gap")),
    Measure(OPTIMUM, "strict bound", "nats, last epoch", _bound),
    Measure(
        OPTIMUM,
        "mean assignment entropy",
        "nats, last epoch; 0: hard assignments",
        partial(_logged, "train_assignment_entropy"),
    ),
    Measure(OPTIMUM, "alignment with codes", "cosine of embedding and code; 1 at the optimum", _alignment),
    Measure(
        OPTIMUM,
        "distance of H^T H from I",
        "Frobenius, relative, at Eq. 1's scale for all samples",
        lambda s: orthonormality_gap(_all_samples_scale(s)),
    ),
    Measure(OPTIMUM, "the same at the optimum", "every code used alike by this dictionary", _optimal_gap),
    Measure(OPTIMUM, "distance of H H^T from block-diagonal", "share of its square between codes", _block_gap),
)
