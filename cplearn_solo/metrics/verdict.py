"""One word for the state of a representation: healthy, or the collapse it shows (CPLearn, Fig. 1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from cplearn_solo.metrics.checks import check_features, check_ids, check_length
from cplearn_solo.metrics.collapse import code_entropy, spread, stable_rank
from cplearn_solo.metrics.intracluster import within_cluster_variance


class Criterion(NamedTuple):
    """The collapse ``name`` is found where ``measure`` is below ``limit``; ``advice`` is for a method that has none."""

    name: str
    measure: str
    limit: float
    reason: str
    advice: str


# Tried in this order. The limits separate digits runs that collapse on purpose from healthy runs of every shipped
# method; docs/collapse.md lists both.
CRITERIA = (
    Criterion(
        "representation",
        "spread",
        0.1,
        "{value:.2g} of the squared length of {space} tells samples apart",
        "bring back what keeps samples apart or lower the learning rate",
    ),
    Criterion(
        "cluster",
        "code_use",
        0.2,
        "the shares of codes have {value:.2g} of the entropy they could have",
        "strengthen what spreads samples over the codes or lower the learning rate",
    ),
    Criterion(
        "cluster",
        "told_apart",
        1.5,
        "codes tell {value:.2f} groups of samples apart, as no sample prefers any",
        "strengthen the agreement of an image's views on a code",
    ),
    Criterion(
        "dimensional",
        "stable_rank",
        1.2,
        "the variance of {space} is that of {value:.2f} directions (stable rank)",
        "strengthen decorrelation",
    ),
    Criterion(
        "intracluster",
        "within_code",
        0.05,
        "{value:.2g} of the variance of {space} is left within codes",
        "use more codes, stronger augmentation or fewer epochs",
    ),
)


@dataclass(frozen=True)
class Verdict:
    """``name``: healthy, representation, dimensional, cluster or intracluster; ``reason``: the number that decided;
    ``advice``: what to try, empty if healthy; ``measures``: all numbers by name."""

    name: str
    reason: str
    advice: str
    measures: dict[str, float]

    @property
    def collapsed(self) -> bool:
        """Whether it is one of the four."""
        return self.name != "healthy"

    @property
    def message(self) -> str:
        """The verdict in one line."""
        return f"{self.name} collapse: {self.reason}; {self.advice}" if self.collapsed else f"healthy: {self.reason}"


def collapse_verdict(
    features: Any,
    embeddings: Any = None,
    codes: Any = None,
    *,
    codes_total: int | None = None,
    entropies: tuple[float, float] | None = None,
    advice: Mapping[str, str] | None = None,
) -> Verdict:
    """The first collapse that applies of representation, cluster, dimensional and intracluster.

    ``features`` ``(n, d)`` of a backbone replace ``embeddings`` ``(n, f)`` of a projector where there are none.
    ``codes`` ``(n,)``, from 0 to ``codes_total`` - 1; without codes, cluster and intracluster collapse are not looked
    for. ``entropies``: entropy of the mean assignment and mean entropy of the assignments, in nats; by default each
    sample is assigned to its code with certainty. ``advice``: what to try, by measure, in place of the general advice.

    The measures: ``spread``, :func:`spread` of embeddings; ``code_use``, the first entropy over its maximum
    log min(n, codes); ``told_apart``, how many groups of samples the codes tell apart, exp of the difference of the
    entropies, which is the mutual information of sample and code; ``stable_rank`` of embeddings; ``within_code``,
    :func:`within_cluster_variance` of embeddings. Raises ``InputError`` for bad input.
    """
    space = "features" if embeddings is None else "embeddings"
    h = check_features(space, features if embeddings is None else embeddings).double()
    measures = {"spread": spread(h), "stable_rank": stable_rank(h)}
    if codes is not None:
        codes = check_ids("codes", codes, codes_total)
        check_length("codes", codes, len(h), "sample")
        known = int(codes.max()) + 1
        of_mean, mean = entropies or (code_entropy(codes, known), 0.0)
        # without codes_total there are at least two, so that a single code in use is a collapse
        maximum = math.log(min(codes_total or max(known, 2), len(codes)))
        if maximum > 0:
            measures |= {"code_use": of_mean / maximum, "told_apart": math.exp(of_mean - mean)}
        if measures["stable_rank"] and len(codes.unique()) < len(codes):
            measures["within_code"] = within_cluster_variance(h, codes)
    for name, measure, limit, reason, general in CRITERIA:
        value = measures.get(measure, math.inf)
        if value < limit:
            wanted = (advice or {}).get(measure, general)
            return Verdict(name, reason.format(value=value, space=space), wanted, measures)
    return Verdict("healthy", "samples, codes and directions are told apart", "", measures)
