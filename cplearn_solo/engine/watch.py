"""Watches a run for collapse: measures each epoch, warns in words, stops the run if asked to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from cplearn_solo.config.schema import Config
from cplearn_solo.core.distributed import gather
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.numbers import counted
from cplearn_solo.core.progress import say
from cplearn_solo.core.words import HEALTHY
from cplearn_solo.engine.advice import advised
from cplearn_solo.engine.module import Pretrainer
from cplearn_solo.methods import Method, frozen_statistics
from cplearn_solo.metrics.collapse import mean_correlation
from cplearn_solo.metrics.verdict import CRITERIA, Verdict, collapse_measures, verdict_of

TOLD = next(criterion.limit for criterion in CRITERIA if criterion.measure == "told_apart")
CLEARLY = 1.1  # times as many groups: about as much as epochs of a healthy run differ

# A verdict uses BatchNorm's running statistics, in which an update with PyTorch's momentum of 0.1 leaves 0.9 of what
# was there: 29 updates leave less than 5 % of the start, 0.9^29. Fewer make embeddings look like one point or line.
FIRST_STEP = 29


class CollapseWatch(Callback):
    """Judges the latest training features after every epoch; the numbers go to the log as ``collapse_...``.

    It prints the verdict when it changes. With ``on_collapse: stop`` it ends training at the second epoch in a row with
    the same collapse; not at the first one, since some methods collapse for an epoch and recover. ``derived``: the
    content of ``derived.json``, for the advice.
    """

    def __init__(self, config: Config, derived: dict[str, Any]) -> None:
        self.config, self.derived, self._last = config, derived, HEALTHY
        self._told_most: float | None = None  # most groups of samples that codes told apart after an epoch
        self.stopped_for: Verdict | None = None

    def state_dict(self) -> dict[str, Any]:
        stopped_for = self.stopped_for and asdict(self.stopped_for)
        known = {"last": self._last, "told_most": self._told_most, "stopped_for": stopped_for}
        return {**known, "max_epochs": self.config.max_epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._last, self._told_most = state_dict["last"], state_dict.get("told_most")
        longer = state_dict.get("max_epochs", self.config.max_epochs) < self.config.max_epochs  # a request to go on
        if state_dict["stopped_for"] and self.config.on_collapse == "stop" and not longer:
            self.stopped_for = Verdict(**state_dict["stopped_for"])

    def on_train_start(self, trainer: Trainer, pl_module: Pretrainer) -> None:
        """A run that was killed after it had been stopped trains no further."""
        trainer.should_stop = self.stopped_for is not None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Pretrainer) -> None:
        pl_module.check_weights()  # before they are judged, or replace the last good checkpoint
        feats = gather(torch.cat(list(pl_module.recent)))
        pl_module.check_finite("embeddings", [embedded(pl_module.method, feats)])
        # BatchNorm has statistics of its own in each process, and all have to stop at the same epoch
        measures = trainer.strategy.broadcast(measured(pl_module.method, feats))
        correlated = correlations(pl_module.method, feats)
        pl_module.log_dict({f"collapse_{name}": value for name, value in (measures | correlated).items()})
        told = [self._told_most, measures.get("told_apart")]
        self._told_most = max((value for value in told if value is not None), default=None)
        epochs = trainer.current_epoch + 1
        if too_early(self.config, epochs, steps_made(self.config, self.derived, epochs)):
            return
        verdict = verdict_of(measures, told_more=told_more(told))
        verdict = advised(verdict, self.config, pl_module.method, self.derived)
        if verdict.name != self._last and trainer.is_global_zero:
            say(f"epoch {trainer.current_epoch + 1}: {verdict.message}")
        if verdict.collapsed and verdict.name == self._last and self.config.on_collapse == "stop":
            trainer.should_stop, self.stopped_for = True, verdict
        self._last = verdict.name


def too_early(config: Config, epochs: int, steps: int | None) -> str:
    """Why a run of so many epochs and optimizer steps is not judged, or empty: a network that has hardly learned looks
    collapsed. Where the steps are not known, only epochs count."""
    warmup = config.scheduler.warmup_epochs if config.scheduler.name == "warmup_cosine" else 0
    first = math.ceil(warmup) + 2
    if steps is not None and steps < FIRST_STEP:
        if steps not in (0, config.max_steps):  # which may end in the midst of an epoch
            first = max(first, math.ceil(FIRST_STEP * epochs / steps))
        done = f"{counted(epochs, 'epoch')} and {counted(steps, 'step')}"
        why = "before, BatchNorm's running statistics may still be near their start"
        return f"trained for {done}, and judged from epoch {first} and step {FIRST_STEP} on: {why}"
    if epochs < first:
        after = f" with a warm-up of {warmup:g}" if warmup else ""
        return f"trained for {counted(epochs, 'epoch')}, and judged from epoch {first} on{after}"
    return ""


def steps_made(config: Config, derived: Mapping[str, Any], epochs: int) -> int | None:
    """Optimizer steps of so many epochs, if ``derived``, the content of ``derived.json``, is known."""
    if "steps_per_epoch" not in derived:
        return None
    steps = int(derived["steps_per_epoch"]) * epochs
    return min(steps, config.max_steps or steps)


def told_more(told: Sequence[float | None]) -> bool:
    """Whether codes told clearly more groups of samples apart in an earlier epoch of ``told`` than in the last one, or
    the last one is unknown."""
    *before, now = told
    return now is None or any(most is not None and most > max(TOLD, CLEARLY * now) for most in before)


@torch.no_grad()
def embedded(method: Method, feats: Tensor) -> Tensor:
    """Embeddings of features ``(n, d)``, by running statistics."""
    with frozen_statistics(method):
        return method.embed(feats.float())


@torch.no_grad()
def correlations(method: Method, feats: Tensor) -> dict[str, float]:
    """:func:`mean_correlation` of features ``(n, d)`` and of their embeddings, where at least two dimensions vary."""
    spaces = {"features_correlation": feats.float(), "correlation": embedded(method, feats)}
    found = {}
    for name, space in spaces.items():
        with suppress(InputError):
            found[name] = mean_correlation(space)
    return found


@torch.no_grad()
def measured(method: Method, feats: Tensor) -> dict[str, float]:
    """:func:`collapse_measures` of features ``(n, d)``; ``method`` lies on their device and uses its running
    statistics."""
    feats = feats.float()
    with frozen_statistics(method):
        embeddings, codes, entropies = method.embed(feats), method.assign(feats), method.code_entropies(feats)
    return collapse_measures(
        feats,
        embeddings,
        codes,
        codes_total=method.codes_total,
        entropies=None if entropies is None else tuple(entropy.item() for entropy in entropies),
    )
