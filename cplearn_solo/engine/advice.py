"""What to change in the configuration of a run that collapsed or learned nothing, never to the value that it has."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from cplearn_solo.config.schema import Config
from cplearn_solo.core.words import NOT_LEARNED
from cplearn_solo.data.schema import RGB
from cplearn_solo.engine.optim import lr_scale
from cplearn_solo.methods import Method
from cplearn_solo.methods.catalog import method_facts
from cplearn_solo.metrics.verdict import Verdict

MOST = 3  # changes that are named, the likeliest first
NOTHING = "nothing in the configuration explains it"
STEPS = 500  # steps that a network needs to learn anything: 18 epochs of digits
SLOW_TEACHER = 0.99
WEAK_CROPS = 0.6  # if crops always keep a larger share of an image, two views are nearly the same
USUAL_JITTER = 0.8  # share of the views whose colours change

# Lowest and highest learning rate, after scaling, of the shipped configurations with each optimizer.
RATES = {"adam": (1e-4, 5e-3), "adamw": (1.25e-4, 1.25e-4), "sgd": (3.75e-3, 0.5), "lars": (0.2, 1.0)}
FAR = 4  # a rate so many times lower or higher is to blame


class Change(NamedTuple):
    """``key`` of the configuration should be ``value`` instead of ``present``, and ``why``."""

    key: str
    value: Any
    present: Any
    why: str

    @property
    def text(self) -> str:
        """As one would type it, with the reason."""
        return f"{self.key}={_text(self.value)} (now {_text(self.present)}: {self.why})"


def advised(verdict: Verdict, config: Config, method: Method, derived: Mapping[str, Any]) -> Verdict:
    """``verdict`` with advice for the run of ``method`` that ``config`` describes.

    ``derived``: the content of its ``derived.json``, as far as it is known. If the configuration does not explain the
    verdict, the advice says so.
    """
    decided = verdict.decided_by
    if not verdict.collapsed and verdict.name != NOT_LEARNED:
        return verdict
    found = list(changes(verdict, config, method, derived))[:MOST]
    if found:
        return replace(verdict, advice=f"try {'; or '.join(change.text for change in found)}")
    own = method.advice.get(decided.measure) if decided else None
    general = own if isinstance(own, str) else decided.advice if verdict.collapsed and decided else ""
    return replace(verdict, advice="; in general, ".join(filter(None, (NOTHING, general))))


def changes(verdict: Verdict, config: Config, method: Method, derived: Mapping[str, Any]) -> Iterator[Change]:
    """All changes of the configuration that may help, the likeliest first: the method's own keys, then others."""
    decided, kwargs = verdict.decided_by, {**method_facts(config.method).defaults, **config.method_kwargs}
    own = method.advice.get(decided.measure, ()) if decided else ()
    for remedy in () if isinstance(own, str) else own:  # a sentence in methods that were written for 0.2.0
        try:
            value, present = remedy.value(kwargs), kwargs[remedy.key]
        except KeyError:  # a subclass has the advice, but not all keys
            continue
        if value is not None:
            yield Change(f"method_kwargs.{remedy.key}", value, present, remedy.why)
    if verdict.name in ("representation", "cluster", NOT_LEARNED):
        yield from _teacher(config, method)
        yield from _learning_rate(config, derived)
    yield from _epochs(config, derived)
    if verdict.name in ("intracluster", NOT_LEARNED):
        yield from _views(config)


def _teacher(config: Config, method: Method) -> Iterator[Change]:
    if not method.teacher or config.momentum is None:
        return
    tau = config.momentum.base_tau
    if tau < 0.9:
        yield Change("momentum.base_tau", SLOW_TEACHER, tau, "the teacher is hardly slower than its student")
    elif tau == 1:
        yield Change("momentum.base_tau", SLOW_TEACHER, tau, "the teacher stays as random as it began")


def _learning_rate(config: Config, derived: Mapping[str, Any]) -> Iterator[Change]:
    scale = lr_scale(config, derived.get("devices", 1))
    optimizer, present = config.optimizer.name, config.optimizer.lr
    rate, (low, high) = present * scale, RATES[optimizer]
    if low / FAR <= rate <= FAR * high:
        return
    usual = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    why = f"{rate:.2g} after scaling, where {usual} is usual with {optimizer}"
    yield Change("optimizer.lr", float(f"{math.sqrt(low * high) / scale:.2g}"), present, why)


def _epochs(config: Config, derived: Mapping[str, Any]) -> Iterator[Change]:
    an_epoch, most = derived.get("steps_per_epoch", STEPS), config.max_steps
    of_epochs, epochs = an_epoch * config.max_epochs, math.ceil(STEPS / an_epoch)
    steps = min(of_epochs, most or of_epochs)
    why = f"{steps} steps are hardly enough to learn anything"
    if most and most < STEPS:
        also = f", and {STEPS} also take max_epochs={epochs}, now {config.max_epochs}" if of_epochs < STEPS else ""
        yield Change("max_steps", STEPS, most, f"{why}{also}")
    elif of_epochs < STEPS:
        yield Change("max_epochs", epochs, config.max_epochs, why)


def _views(config: Config) -> Iterator[Change]:
    for i, augmentation in enumerate(config.augmentations):
        crops, jitter = augmentation.rrc, augmentation.color_jitter
        if jitter.prob >= 0.5 or (crops.enabled and crops.crop_min_scale <= WEAK_CROPS):
            continue
        key, why = f"augmentations.{i}", "an image's views are nearly the same"
        if crops.enabled:
            yield Change(f"{key}.rrc.crop_min_scale", WEAK_CROPS, crops.crop_min_scale, why)
        elif not augmentation.random_crop.enabled:
            yield Change(f"{key}.rrc.enabled", True, False, why)
        elif config.data.channels == RGB:  # a pipeline has one kind of crops
            yield Change(f"{key}.color_jitter.prob", USUAL_JITTER, jitter.prob, why)


def _text(value: Any) -> str:
    """As YAML reads it."""
    return str(value).lower() if isinstance(value, bool) else f"{value:.4g}" if isinstance(value, float) else str(value)
