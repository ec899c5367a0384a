"""The rows of the report's table."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from cplearn_solo.collapse.measures import Measure, classes, clustered, codes, embeddings, representation
from cplearn_solo.collapse.scale import log_scales, unit_scale
from cplearn_solo.collapse.subject import Subject
from cplearn_solo.core.errors import InputError
from cplearn_solo.evaluation.scores import EMBEDDED_SAMPLES, kmeans_score
from cplearn_solo.metrics import ami, codes_used, effective_rank, nmi, nmi_at_chance
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

PAIRED_SAMPLES = 2000  # for estimators with more than linear cost in the samples
NOISE = 1e-3  # variance that the log-determinant entropy adds to each direction, relative to the mean variance
# Variance of the pairwise entropy's noise, relative to that of all dimensions together. Samples closer than the noise
# count as one; with less noise, any two samples in many dimensions count as two, even after a collapse.
CLOSE = 0.05

# --- measures that need more than one call ------------------------------------------------------------------------


def _by_class(metric: Callable[[Tensor, Tensor], float], subject: Subject) -> float:
    known, labels = classes(subject)
    return metric(subject.features[known], labels)


def _codes_by_class(metric: Callable[[Tensor, Tensor], float], subject: Subject) -> float:
    known, labels = classes(subject)
    return metric(codes(subject)[known], labels)


def _random_rows(rows: Tensor) -> Tensor:
    """At most ``PAIRED_SAMPLES`` random rows, the same for equal lengths; the first rows may all be of one class."""
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:PAIRED_SAMPLES]
    return rows[chosen.sort().values]


def _nmi_at_chance(subject: Subject) -> float:
    return _codes_by_class(partial(nmi_at_chance, seed=subject.seed), subject)


def _kmeans(subject: Subject, *, standardised: bool) -> float:
    return _by_class(partial(kmeans_score, standardised=standardised, seed=subject.seed), subject)


def _pairwise_entropy(part: Callable[[Subject], Tensor], subject: Subject) -> float:
    values = _random_rows(unit_scale(part(subject)))
    noise = CLOSE * values.shape[1]
    return pairwise_entropy(values, noise=noise) - pairwise_entropy(values[:1], noise=noise)


def _logdet(part: Callable[[Subject], Tensor], subject: Subject) -> float:
    values = unit_scale(part(subject))
    n, d = values.shape
    if n <= d:
        raise InputError(f"{n} samples are too few for {d} dimensions: directions would be empty without a collapse")
    return gaussian_entropy(values, noise=NOISE)


def _log_scales(part: Callable[[Subject], Tensor], subject: Subject) -> float:
    return log_scales(part(subject))


def _num_codes(subject: Subject) -> int:
    """The number of codes; for a file, which does not say it, the largest code in use plus one."""
    return subject.codes_total or int(codes(subject).max()) + 1


# --- the table ----------------------------------------------------------------------------------------------------


def _spectral(section: str, part: Callable[[Subject], Tensor]) -> list[Measure]:
    def of(metric: Callable[[Tensor], float]) -> Callable[[Subject], float]:
        return lambda subject: metric(part(subject))

    dimensions = of(lambda values: values.shape[1])
    directions = of(lambda values: min(len(values) - 1, values.shape[1]))
    variance = of(lambda values: dimension_variances(values).mean())
    row = partial(Measure, section)
    shift, scale = ("shift", "dimensions"), ("scale", "dimensions")
    return [
        row("dimensions", "", dimensions, follows=()),
        row("distance to constant", "0: all samples at one point; 1: mean at the origin", of(spread), follows=shift),
        row("mean variance", "per dimension, at the scale they have", variance, follows=scale),
        row("effective rank", "directions in use, by singular values", of(effective_rank), of=directions),
        row("RankMe", "the same without centring", of(rankme), of=of(lambda v: min(v.shape)), follows=shift),
        row("stable rank", "total variance over the largest", of(stable_rank), of=directions),
        row("mean |correlation|", "of two dimensions; 0: decorrelated", of(mean_correlation), follows=()),
        row("AUC of the spectrum", "0.5: all directions alike; 1: one direction", of(spectrum_auc)),
        row("power-law exponent", "decay from the 4th direction on; 0: all alike", of(power_law_exponent)),
    ]


CODES, WITHIN = "Codes", "Within clusters and classes"
counted = partial(Measure, CODES, follows=())
within = partial(Measure, WITHIN)
MEASURES: tuple[Measure, ...] = (
    *_spectral("Representation Z", representation),
    *_spectral("Embeddings H", embeddings),
    counted("codes in use", "on these samples", lambda s: codes_used(codes(s)), of=lambda s: s.codes_total),
    counted(
        "entropy of the codes' shares",
        "nats; 0: one code",
        lambda s: code_entropy(codes(s), _num_codes(s)),
        of=lambda s: s.codes_total and math.log(min(s.codes_total, len(s.codes))),
    ),
    counted("largest code's share", "1: one code", lambda s: largest_share(codes(s), _num_codes(s))),
    counted("AMI of codes and classes", "corrected for chance", partial(_codes_by_class, ami)),
    counted("NMI of codes and classes", "grows with the codes in use", partial(_codes_by_class, nmi)),
    counted("NMI at chance", "the same codes, labels permuted", _nmi_at_chance),
    within("k-means AMI of Z", f"at most {EMBEDDED_SAMPLES:,} samples", partial(_kmeans, standardised=False)),
    within(
        "k-means AMI of Z, standardised",
        "the same with each dimension at variance 1",
        partial(_kmeans, standardised=True),
        follows=(),
    ),
    within("intra-class effective rank of Z", "mean over classes", partial(_by_class, intra_class_effective_rank)),
    within(
        "inter-class effective rank of Z",
        "of the class means",
        partial(_by_class, inter_class_effective_rank),
        of=lambda s: len(classes(s)[1].unique()) - 1,
    ),
    within(
        "within-class variance of Z",
        "share of all variance; 0: each class a point",
        partial(_by_class, within_cluster_variance),
    ),
    within(
        "within-code variance",
        "of H, or of Z without H; 0: each code a point",
        lambda s: within_cluster_variance(clustered(s), codes(s)),
    ),
    *(
        within(
            f"pairwise entropy of {name}",
            f"nats above one point's, of at most {PAIRED_SAMPLES:,} samples; log k: k groups told apart",
            partial(_pairwise_entropy, part),
            of=lambda s, part=part: math.log(min(PAIRED_SAMPLES, len(part(s)))),
        )
        for name, part in (("Z", representation), ("H", embeddings))
    ),
    *(
        within(
            f"log-determinant entropy of {name}",
            "nats, of one Gaussian at unit scale",
            partial(_logdet, part),
            same_dimension=name,
        )
        for name, part in (("Z", representation), ("H", embeddings))
    ),
    *(
        within(
            f"unequal scales of dimensions of {name}",
            "nats by which a mixture's entropy would be higher with each dimension at variance 1",
            partial(_log_scales, part),
            same_dimension=name,
        )
        for name, part in (("Z", representation), ("H", embeddings))
    ),
)


def method_measures(subjects: list[Subject]) -> list[Measure]:
    """Rows that the methods of the subjects add, each once (:meth:`Method.report_measures`)."""
    rows: dict[tuple[str, str], Measure] = {}
    for subject in subjects:
        if subject.method is not None:
            missing = f"no {type(subject.method).__name__} run"
            for section, title, note, _ in subject.method.report_measures():
                compute = partial(_added, section, title, missing)
                rows.setdefault((section, title), Measure(section, title, note, compute, follows=None))
    return list(rows.values())


def _added(section: str, title: str, missing: str, subject: Subject) -> float:
    """The number of the row that the subject's own method adds under this section and title."""
    for row in subject.method.report_measures() if subject.method is not None else []:
        if (row.section, row.title) == (section, title):
            return row.compute(embeddings(subject), subject.codes, subject.rows[-1] if subject.rows else {})
    raise InputError(missing)
