"""One word for the state of a representation: healthy, or the collapse it shows (CPLearn, Fig. 1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from cplearn_solo.core.numbers import digits
from cplearn_solo.core.words import HEALTHY, NOT_LEARNED
from cplearn_solo.metrics.checks import check_features, check_ids, check_length
from cplearn_solo.metrics.collapse import code_entropy, spread, stable_rank
from cplearn_solo.metrics.intracluster import within_cluster_variance


class Criterion(NamedTuple):
    """The collapse ``name`` is found if ``measure`` is below ``limit``.

    ``reason``: text of the verdict. ``meaning``: what a high value means. ``advice``: for features without a known
    configuration. ``of_codes``: only methods with codes have the measure.
    """

    name: str
    measure: str
    limit: float
    reason: str
    meaning: str
    advice: str
    of_codes: bool = False


# Tried in this order. The limits separate digits runs that collapse on purpose from healthy runs of every shipped
# method; docs/collapse.md lists both.
CRITERIA = (
    Criterion(
        "representation",
        "spread",
        0.1,
        "variance is only {value:.2g} of the mean squared length of {space}",
        "images differ from one another",
        "strengthen the term that keeps samples apart, or lower the learning rate",
    ),
    Criterion(
        "cluster",
        "code_use",
        0.2,
        "the shares of codes have {value:.2g} of the entropy they could have",
        "many codes are in use",
        "strengthen what spreads samples over the codes or lower the learning rate",
        of_codes=True,
    ),
    Criterion(
        "cluster",
        "told_apart",
        1.5,
        "codes tell {value:.2f} groups of samples apart: no sample prefers a code",
        "codes tell groups apart",
        "strengthen the agreement of an image's views on a code",
        of_codes=True,
    ),
    Criterion(
        "dimensional",
        "stable_rank",
        1.2,
        "the variance of {space} is that of {value:.2f} directions (stable rank)",
        "images differ in many directions",
        "strengthen decorrelation",
    ),
    Criterion(
        "intracluster",
        "within_code",
        0.05,
        "{value:.2g} of the variance of {space} is left within codes",
        "images of one code differ",
        "use more codes, stronger augmentation or fewer epochs",
        of_codes=True,
    ),
)
COLLAPSES = tuple(dict.fromkeys(criterion.name for criterion in CRITERIA))


@dataclass(frozen=True)
class Verdict:
    """``name``: healthy, representation, dimensional, cluster, intracluster, too early to tell or no better than
    chance; ``reason``: the number that decided; ``advice``: what to try, or empty; ``measures``: all numbers by
    name."""

    name: str
    reason: str
    advice: str
    measures: dict[str, float]

    @property
    def collapsed(self) -> bool:
        """Whether it is one of the four collapses."""
        return self.name in COLLAPSES

    @property
    def message(self) -> str:
        """The verdict in one line."""
        return "; ".join(filter(None, (f"{self.title}: {self.reason}", self.advice)))

    @property
    def title(self) -> str:
        """The name, followed by "collapse" for a collapse."""
        return f"{self.name} collapse" if self.collapsed else self.name

    @property
    def numbers(self) -> str:
        """The measures with their limits, in one line."""
        return ", ".join(f"{name} {digits(of['value'], 3)} (limit {of['limit']:g})" for name, of in self.limits.items())

    @property
    def criteria(self) -> list[Criterion]:
        """The criteria that apply: for a method without codes, only those that need no codes."""
        codes = "code_use" in self.measures
        return [criterion for criterion in CRITERIA if codes or not criterion.of_codes]

    @property
    def decided_by(self) -> Criterion | None:
        """The first criterion whose limit a measure is below."""
        below = (c for c in CRITERIA if self.measures.get(c.measure, math.inf) < c.limit)
        return next(below, None)

    @property
    def limits(self) -> dict[str, dict[str, float]]:
        """``value`` and ``limit`` of each measure, by name."""
        return {
            criterion.measure: {"value": self.measures[criterion.measure], "limit": criterion.limit}
            for criterion in self.criteria
            if criterion.measure in self.measures
        }


def collapse_measures(
    features: Any,
    embeddings: Any = None,
    codes: Any = None,
    *,
    codes_total: int | None = None,
    entropies: tuple[float, float] | None = None,
) -> dict[str, float]:
    """The measures that a verdict is based on, by name; a measure that cannot be computed is absent.

    ``features`` ``(n, d)`` of a backbone are measured if there are no ``embeddings`` ``(n, f)`` of a projector.
    ``codes`` ``(n,)``, from 0 to ``codes_total`` - 1. ``entropies``: entropy of the mean assignment and mean entropy of
    the assignments, in nats; by default each sample is assigned to its code with certainty.

    ``spread``: :func:`spread` of embeddings. ``code_use``: the first entropy over log min(n, codes); it can exceed 1
    for soft assignments. ``told_apart``: how many groups of samples the codes tell apart, exp of the mutual information
    of sample and code, which is the difference of the entropies. ``stable_rank``: of embeddings. ``within_code``:
    :func:`within_cluster_variance` of embeddings. Raises ``InputError`` for bad input.
    """
    h = check_features(_space(embeddings), features if embeddings is None else embeddings).double()
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
    return measures


def verdict_of(measures: dict[str, float], *, space: str = "embeddings", told_more: bool = True) -> Verdict:
    """The first collapse that applies, in the order representation, cluster, dimensional, intracluster; without advice.

    ``space``: what was measured, in words. ``told_more``: whether the codes told samples apart earlier in training, or
    this is unknown. Codes that never did have not collapsed: no sample prefers a code yet.
    """
    for name, measure, limit, reason, *_ in CRITERIA:
        value = measures.get(measure, math.inf)
        if value < limit:
            reason = reason.format(value=value, space=space)
            if measure == "told_apart" and not told_more:
                return Verdict(NOT_LEARNED, f"{reason} yet", "", measures)
            return Verdict(name, reason, "", measures)
    codes = ", codes" if "code_use" in measures else ""
    return Verdict(HEALTHY, f"samples{codes} and directions are told apart", "", measures)


def collapse_verdict(features: Any, embeddings: Any = None, codes: Any = None, **settings: Any) -> Verdict:
    """:func:`verdict_of` the :func:`collapse_measures` of the same arguments, with the general advice.

    Without codes, cluster and intracluster collapse are not looked for.
    """
    measures = collapse_measures(features, embeddings, codes, **settings)
    verdict = verdict_of(measures, space=_space(embeddings))
    decided = verdict.decided_by
    return Verdict(verdict.name, verdict.reason, decided.advice if decided else "", measures)


def _space(embeddings: Any) -> str:
    return "features" if embeddings is None else "embeddings"
