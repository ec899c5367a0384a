"""Which keys to try next, as a function of the seed and earlier trials: a resumed search suggests the same keys."""

from __future__ import annotations

import hashlib
import random
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from cplearn_solo.core.errors import InputError, require_known
from cplearn_solo.tuning.domains import AnyDomain, Choice, Keys, Space
from cplearn_solo.tuning.schema import SAMPLERS

# Number of trials that are drawn at random before the sampler learns from them. Optuna's default, 10, would leave
# little of a small budget.
AT_RANDOM = 8

Told = tuple[Keys, float]  # keys of an earlier trial, and its score: larger is better


def choose_sampler(wanted: str) -> str:
    """``tpe`` or ``random``; ``InputError`` for another name, and for tpe without Optuna."""
    require_known("sampler", wanted, SAMPLERS)
    there = find_spec("optuna") is not None
    if wanted == "tpe" and not there:
        raise InputError("sampler = 'tpe': needs Optuna, which is not installed: pip install 'cplearn-solo[tune]'")
    return wanted if wanted != "auto" else "tpe" if there else "random"


def count_at_random(generation: int) -> int:
    """Number of trials that are drawn before TPE is used: whole groups of ``generation``."""
    return -(-AT_RANDOM // generation) * generation


def suggest(space: Space, numbers: Sequence[int], earlier: Sequence[Told], *, sampler: str, seed: int) -> list[Keys]:
    """Keys for the trials ``numbers``, from the ``earlier`` trials in order; not from each other's outcomes."""
    if sampler == "random" or numbers[0] < AT_RANDOM or not earlier:
        return [_at_random(space, number, seed) for number in numbers]
    return _by_tpe(space, numbers, earlier, seed)


def _at_random(space: Space, number: int, seed: int) -> Keys:
    draw = random.Random(f"{seed}/{number}").random
    return {key: domain.at(draw()) for key, domain in space.items()}


def _by_tpe(space: Space, numbers: Sequence[int], earlier: Sequence[Told], seed: int) -> list[Keys]:
    """By a tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011), rebuilt from all earlier trials.

    Trials outside of the space are left out; the unchanged configuration may be one.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {key: _distribution(domain) for key, domain in space.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constant_liar was long experimental
        seeded = hashlib.sha256(f"{seed}/{numbers[0]}".encode()).digest()
        sampler = optuna.samplers.TPESampler(
            seed=int.from_bytes(seeded[:4], "little"),
            n_startup_trials=0,
            constant_liar=True,  # pending suggestions count as bad ones, so that new ones are different
        )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for keys, value in earlier:
            if all(keys[key] in domain for key, domain in space.items()):
                study.add_trial(optuna.trial.create_trial(params=keys, distributions=distributions, value=value))
        asked = [study.ask(distributions).params for _ in numbers]
    return [{key: _tidy(domain, params[key]) for key, domain in space.items()} for params in asked]


def _distribution(domain: AnyDomain) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(domain, Choice):
        return CategoricalDistribution(domain.values)
    return (IntDistribution if domain.whole else FloatDistribution)(domain.low, domain.high, log=domain.log)


def _tidy(domain: AnyDomain, value: Any) -> Any:
    return value if isinstance(domain, Choice) else domain.tidy(value)
