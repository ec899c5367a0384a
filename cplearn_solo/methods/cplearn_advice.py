"""Which of CPLearn's keys to change against a collapse, and to which value."""

from __future__ import annotations

from cplearn_solo.methods.remedy import Keywords, Remedy, lower_to, raise_to


def _auto_beta(given: Keywords) -> str | None:
    return "auto" if given["beta"] == 1 and given["prior"] in (None, "uniform") else None


def _codes_stay(given: Keywords) -> bool:
    """Whether 64 codes are impossible: too large an eps, a prior of given numbers, or too small a Hadamard matrix."""
    short = given["dictionary"] == "hadamard" and given["proj_hidden_dim"] < 64
    return given["eps"] >= 1 / 64 or isinstance(given["prior"], list) or short


def _few_codes_stay(given: Keywords) -> bool:
    return _soft_pays(given) or _codes_stay(given)


def _soft_pays(given: Keywords) -> bool:
    """Whether beta alone explains that no sample prefers a code."""
    return given["beta"] != "auto" and given["beta"] < 1


def _uniform(given: Keywords) -> str | None:
    return None if given["prior"] in (None, "uniform") or given["prior_power"] is not None else "uniform"


# The larger the largest entry of the prior, the less it costs to use one code for all samples.
PRIOR = (
    Remedy("prior", _uniform, "under this prior, using one code for all samples costs little"),
    lower_to(0.5, "prior_power", "the steeper the prior, the less it costs to use one code for all samples"),
)
ADVICE = {
    "spread": PRIOR,
    "code_use": (
        lower_to(1.0, "beta", "above 1 invariance outweighs the prior, Table 9"),
        *PRIOR,
        Remedy("beta", _auto_beta, "auto lowers it while codes are being lost"),
    ),
    "told_apart": (
        raise_to(1.0, "beta", "below 1 soft assignments lower the loss, and at 0 there is no invariance, Fig. 12"),
        *PRIOR,
        lower_to(64, "proj_output_dim", "with fewer codes, samples prefer one of them sooner", unless=_few_codes_stay),
    ),
    "stable_rank": (raise_to(64, "proj_output_dim", "few codes lie in few directions", unless=_codes_stay),),
    "within_code": (raise_to(64, "proj_output_dim", "a code has many samples, Fig. 13", unless=_codes_stay),),
}
