"""Watches a run for collapse: measures each epoch, warns in words, stops the run if asked to."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from cplearn_solo.config.schema import Config
from cplearn_solo.core.distributed import gather
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.progress import say
from cplearn_solo.engine.module import Pretrainer
from cplearn_solo.methods import Method, frozen_statistics
from cplearn_solo.metrics.collapse import mean_correlation
from cplearn_solo.metrics.verdict import Verdict, collapse_verdict


class CollapseWatch(Callback):
    """Judges the latest training features after every epoch; the numbers go to the log as ``collapse_...``.

    It prints the verdict when that changes. With ``on_collapse: stop`` it ends training at the second epoch in a row
    with the same collapse; not at the first one, since some methods collapse for an epoch and recover.
    """

    def __init__(self, config: Config) -> None:
        self.config, self._last = config, "healthy"
        self.stopped_for: Verdict | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"last": self._last, "stopped_for": self.stopped_for and asdict(self.stopped_for)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._last = state_dict["last"]
        if state_dict["stopped_for"] and self.config.on_collapse == "stop":
            self.stopped_for = Verdict(**state_dict["stopped_for"])

    def on_train_start(self, trainer: Trainer, pl_module: Pretrainer) -> None:
        """A run that was killed after it had been stopped trains no further."""
        trainer.should_stop = self.stopped_for is not None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Pretrainer) -> None:
        pl_module.check_weights()  # before they are judged, or replace the last good checkpoint
        feats = gather(torch.cat(list(pl_module.recent)))
        verdict = judge(pl_module.method, feats)
        measures = verdict.measures | correlations(pl_module.method, feats)
        pl_module.log_dict({f"collapse_{name}": value for name, value in measures.items()})
        if not can_be_judged(self.config, trainer.current_epoch + 1):
            return
        if verdict.name != self._last and trainer.is_global_zero:
            say(f"epoch {trainer.current_epoch + 1}: {verdict.message}")
        if verdict.collapsed and verdict.name == self._last and self.config.on_collapse == "stop":
            trainer.should_stop, self.stopped_for = True, verdict
        self._last = verdict.name


def can_be_judged(config: Config, epochs: int) -> bool:
    """Whether a run has trained long enough: a network that has hardly learned looks collapsed."""
    warmup = config.scheduler.warmup_epochs if config.scheduler.name == "warmup_cosine" else 0
    return epochs > math.ceil(warmup) + 1


@torch.no_grad()
def correlations(method: Method, feats: Tensor) -> dict[str, float]:
    """:func:`mean_correlation` of features ``(n, d)`` and of their embeddings, where at least two dimensions vary."""
    with frozen_statistics(method):
        spaces = {"features_correlation": feats.float(), "correlation": method.embed(feats.float())}
    found = {}
    for name, space in spaces.items():
        with suppress(InputError):
            found[name] = mean_correlation(space)
    return found


@torch.no_grad()
def judge(method: Method, feats: Tensor) -> Verdict:
    """The verdict on features ``(n, d)``; ``method`` lies on their device and uses its running statistics."""
    feats = feats.float()
    with frozen_statistics(method):
        embeddings, codes, entropies = method.embed(feats), method.assign(feats), method.code_entropies(feats)
    return collapse_verdict(
        feats,
        embeddings,
        codes,
        codes_total=method.codes_total,
        entropies=None if entropies is None else tuple(entropy.item() for entropy in entropies),
        advice=method.advice,
    )
