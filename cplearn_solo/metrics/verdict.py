"""One word for the state of a representation: healthy, or the collapse it shows (CPLearn, Fig. 1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from cplearn_solo.metrics.checks import check_features, check_ids
from cplearn_solo.metrics.collapse import code_entropy, spread, stable_rank
from cplearn_solo.metrics.intracluster import within_cluster_variance
from cplearn_solo.registry import InputError

# Limits lie between what runs on digits show that collapse on purpose and runs of every shipped method that do not;
# docs/collapse.md lists both.
MIN_SPREAD = 0.1
MIN_STABLE_RANK = 1.2
MIN_CODE_USE = 0.2
MIN_WITHIN_CODE = 0.05

ADVICE = {
    "representation": "bring back what keeps samples apart (VICReg: var_loss_weight) or lower the learning rate",
    "cluster": "with CPLearn, lower beta where one code takes all (above 1 the prior loses, Table 9), raise it where "
    "no sample prefers a code (beta = 0, Fig. 12), or set beta=auto",
    "dimensional": "strengthen decorrelation (VICReg: cov_loss_weight; CPLearn: more codes, proj_output_dim)",
    "intracluster": "use more codes (CPLearn: proj_output_dim, Fig. 13), stronger augmentation or fewer epochs",
}


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
    information: float | None = None,
) -> Verdict:
    """The first collapse that applies of representation, cluster, dimensional and intracluster.

    ``features`` ``(n, d)`` of a backbone stand in for ``embeddings`` ``(n, f)`` of a projector where there are none.
    ``codes`` ``(n,)``, of ``codes_total``: without them neither cluster nor intracluster collapse can be told.
    ``information`` between sample and code in nats: by default the entropy of the codes' shares.

    The measures: ``spread``, :func:`spread` of embeddings; ``stable_rank``, theirs; ``code_use``, the information over
    its maximum log min(n, codes); ``within_code``, :func:`within_cluster_variance` of embeddings.
    Raises ``InputError`` for bad input.
    """
    space = "features" if embeddings is None else "embeddings"
    h = check_features(space, features if embeddings is None else embeddings).double()
    measures = {"spread": spread(h), "stable_rank": stable_rank(h)}
    if codes is not None:
        codes = check_ids("codes", codes, codes_total)
        if len(codes) != len(h):
            raise InputError(f"codes must be one for each of {len(h)} samples, got {len(codes)}")
        possible = math.log(min(codes_total or int(codes.max()) + 1, len(codes)))
        if possible:
            total = code_entropy(codes, int(codes.max()) + 1)
            measures["code_use"] = (total if information is None else information) / possible
        if measures["stable_rank"] and len(codes.unique()) < len(codes):
            measures["within_code"] = within_cluster_variance(h, codes)
    name, reason = _judge(measures, space)
    return Verdict(name, reason, ADVICE.get(name, ""), measures)


def _judge(measures: dict[str, float], space: str) -> tuple[str, str]:
    if (value := measures["spread"]) < MIN_SPREAD:
        return "representation", f"{value:.2g} of the squared length of {space} tells samples apart"
    if (value := measures.get("code_use", 1.0)) < MIN_CODE_USE:
        return "cluster", f"{value:.2g} of what codes could tell of a sample is told"
    if (value := measures["stable_rank"]) < MIN_STABLE_RANK:
        return "dimensional", f"the variance of {space} is that of {value:.2f} directions (stable rank)"
    if (value := measures.get("within_code", 1.0)) < MIN_WITHIN_CODE:
        return "intracluster", f"{value:.2g} of the variance of {space} is left within codes"
    return "healthy", "samples, codes and directions are told apart"
