"""One word for the state of a representation: healthy, or the collapse it shows (CPLearn, Fig. 1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics.checks import check_features, check_ids
from cplearn_solo.metrics.collapse import code_entropy, spread, stable_rank
from cplearn_solo.metrics.intracluster import within_cluster_variance


class Criterion(NamedTuple):
    """``name`` applies where ``measure`` is below ``limit``."""

    name: str
    measure: str
    limit: float
    reason: str
    advice: str


# Tried in this order. Limits lie between what runs on digits show that collapse on purpose and runs of every shipped
# method that do not; docs/collapse.md lists both.
CRITERIA = (
    Criterion(
        "representation",
        "spread",
        0.1,
        "{value:.2g} of the squared length of {space} tells samples apart",
        "bring back what keeps samples apart (VICReg: var_loss_weight) or lower the learning rate",
    ),
    Criterion(
        "cluster",
        "code_use",
        0.2,
        "the shares of codes have {value:.2g} of the entropy they could have",
        "CPLearn: lower beta, above 1 the prior loses (Table 9), or set beta=auto",
    ),
    Criterion(
        "cluster",
        "told_apart",
        1.5,
        "codes tell {value:.2f} groups of samples apart, as no sample prefers any",
        "CPLearn: raise beta, at 0 there is no invariance (Fig. 12), or set beta=auto",
    ),
    Criterion(
        "dimensional",
        "stable_rank",
        1.2,
        "the variance of {space} is that of {value:.2f} directions (stable rank)",
        "strengthen decorrelation (VICReg: cov_loss_weight; CPLearn: more codes, proj_output_dim)",
    ),
    Criterion(
        "intracluster",
        "within_code",
        0.05,
        "{value:.2g} of the variance of {space} is left within codes",
        "use more codes (CPLearn: proj_output_dim, Fig. 13), stronger augmentation or fewer epochs",
    ),
)


@dataclass(frozen=True)
class Verdict:
    """``name``: healthy, representation, dimensional, cluster or intracluster; ``reason``: the number that decided;
    ``advice``: what to try, if anything; ``measures``: all numbers that were looked at."""

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
        """The verdict in a line."""
        return f"{self.name} collapse: {self.reason}; {self.advice}" if self.collapsed else f"healthy: {self.reason}"


def collapse_verdict(
    features: Any,
    embeddings: Any = None,
    codes: Any = None,
    *,
    codes_total: int | None = None,
    entropies: tuple[float, float] | None = None,
) -> Verdict:
    """The first collapse that applies of representation, cluster, dimensional and intracluster.

    ``features`` ``(n, d)`` of a backbone stand in for ``embeddings`` ``(n, f)`` of a projector where there are none.
    ``codes`` ``(n,)``, of ``codes_total``: without them neither cluster nor intracluster collapse can be told.
    ``entropies``: of the mean assignment and of assignments on average, in nats; by default each sample has one code.

    The measures: ``spread``, :func:`spread` of embeddings; ``code_use``, the first entropy over its maximum
    log min(n, codes); ``told_apart``, exp of the difference of the entropies, which is the information between sample
    and code: how many groups of samples the codes tell apart; ``stable_rank`` of embeddings; ``within_code``,
    :func:`within_cluster_variance` of embeddings. Raises ``InputError`` for bad input.
    """
    space = "features" if embeddings is None else "embeddings"
    h = check_features(space, features if embeddings is None else embeddings).double()
    measures = {"spread": spread(h), "stable_rank": stable_rank(h)}
    if codes is not None:
        codes = check_ids("codes", codes, codes_total)
        if len(codes) != len(h):
            raise InputError(f"codes must be one for each of {len(h)} samples, got {len(codes)}")
        of_mean, mean = entropies or (code_entropy(codes, int(codes.max()) + 1), 0.0)
        # where nobody says how many codes there are, one in use is one of two at least
        if most := math.log(min(codes_total or max(int(codes.max()) + 1, 2), len(codes))):
            measures |= {"code_use": of_mean / most, "told_apart": math.exp(of_mean - mean)}
        if measures["stable_rank"] and len(codes.unique()) < len(codes):
            measures["within_code"] = within_cluster_variance(h, codes)
    for name, measure, limit, reason, advice in CRITERIA:
        if (value := measures.get(measure, math.inf)) < limit:
            return Verdict(name, reason.format(value=value, space=space), advice, measures)
    return Verdict("healthy", "samples, codes and directions are told apart", "", measures)
