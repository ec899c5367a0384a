"""A whole run: training, scores of the frozen backbone, and its weights for other software."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

from cplearn_solo.config.schema import Config
from cplearn_solo.core.errors import NotWritten
from cplearn_solo.core.out_of_memory import OutOfMemory, lack_of_memory
from cplearn_solo.core.progress import patience
from cplearn_solo.data import Splits
from cplearn_solo.engine.estimate import Estimate
from cplearn_solo.engine.runs import how_to_go_on
from cplearn_solo.engine.train import Trained, pretrain, rehearse
from cplearn_solo.evaluation.cost import evaluation_seconds
from cplearn_solo.evaluation.summary import summarize
from cplearn_solo.inference.devices import device_after_training
from cplearn_solo.inference.export import facts_of, write_safetensors
from cplearn_solo.metrics.verdict import Verdict

WEIGHTS = "backbone.safetensors"  # of a run folder, if it has checkpoints


@dataclass(frozen=True)
class Finished:
    """A run in ``path`` on the images of ``splits``; ``summary`` and ``verdict`` are ``None`` in processes of other
    devices, and if the run is ``unfinished``, a text that says why.
    """

    path: Path
    splits: Splits
    summary: dict[str, Any] | None
    verdict: Verdict | None
    unfinished: str = ""


def train_and_score(config: Config, *, references: bool = True) -> Finished:
    """Trains as ``config`` says, scores the frozen backbone, and leaves weights and ``summary.json`` in the run folder.

    ``references``: also with the scores of chance and of a random backbone.
    """
    trained = pretrain(config, estimate=_estimate(references=references))
    run = trained.run
    if rank_zero_only.rank != 0:
        return Finished(run.path, trained.splits, None, None)
    if trained.unfinished:
        run.close()
        return Finished(run.path, trained.splits, None, None, trained.unfinished)
    try:
        print("training done; evaluating the frozen backbone", flush=True)
        with patience("evaluation"):
            summary, verdict = summarize(trained, references=references)
        if config.checkpoint.enabled:
            _keep_weights(trained)
        run.write_json("summary.json", summary)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped while scoring; {how_to_go_on(run.path, config)}") from None
    except NotWritten as error:
        raise NotWritten(f"{error}; {how_to_go_on(run.path, config)}") from error
    except Exception as error:
        if not lack_of_memory(error):
            raise
        device = device_after_training(config)
        less = "" if device.type == "cpu" else "; accelerator=cpu scores without it"
        on = how_to_go_on(run.path, config)
        raise OutOfMemory(f"the memory of {device} ran out while scoring; {on}{less}") from error
    finally:
        run.close()
    return Finished(run.path, trained.splits, summary, verdict)


def take_stock(config: Config, *, references: bool = True) -> None:
    """Prints what the run of ``config`` would take, and leaves nothing behind."""
    rehearse(config, _estimate(references=references, ends=True))


def _estimate(*, references: bool, ends: bool = False) -> Estimate:
    return Estimate(partial(evaluation_seconds, references=references), ends=ends)


def _keep_weights(trained: Trained) -> None:
    module = trained.module
    facts = facts_of(module.config, module.mean, module.std)
    write_safetensors(module.backbone, trained.run.path / WEIGHTS, facts)
