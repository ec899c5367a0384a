"""Runs a trial in its folder: an ordinary run that is paused at a rung and scored.

As a script, this file does the same for the trial's other devices.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from cplearn_solo.config.read import parse_config
from cplearn_solo.core.errors import InputError, require
from cplearn_solo.core.user_errors import user_errors
from cplearn_solo.engine.find import finished_runs
from cplearn_solo.tuning.scores import SCORES

if TYPE_CHECKING:
    from cplearn_solo.engine.train import Trained

CONFIG, FACTS = "config.yaml", "trial.json"  # in the folder: the configuration, and other facts


def run_trial(folder: Path) -> dict[str, Any]:
    """Runs the trial prepared in ``folder`` and returns its outcome; its run is made or resumed beside ``folder``.

    After all epochs, the run has a ``summary.json`` like any finished run. In the processes that Lightning starts for
    a trial's other devices, the outcome is empty.
    """
    facts, config = json.loads((folder / FACTS).read_text()), parse_config(OmegaConf.load(folder / CONFIG))
    epochs, names = facts["epochs"], SCORES[facts["score"]].names
    if epochs == config.max_epochs and (finished := finished_runs(folder.parent)):  # killed before it was recorded
        return _told(finished[-1], json.loads((finished[-1] / "summary.json").read_text()), names)
    from lightning.pytorch.utilities import rank_zero_only

    from cplearn_solo.engine.train import pretrain
    from cplearn_solo.evaluation.summary import summarize

    trained = pretrain(config, until=epochs)
    if rank_zero_only.rank != 0:
        return {}
    try:
        if trained.unfinished:
            raise InputError(trained.unfinished)
        summary, _ = summarize(trained, references=False)
        require(summary["epochs"] <= epochs, str(trained.run.path), summary["epochs"], f"at its epoch {epochs}")
        if "rankme" in names:
            summary["rankme"] = _rankme(trained)
        told = _told(trained.run.path, summary, names)
        if epochs == config.max_epochs:
            trained.run.write_json("summary.json", summary)
    finally:
        trained.run.close()
    return told


def _told(run: Path, summary: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    from cplearn_solo.engine.runs import DATA

    for name in names:
        why = summary.get("left_out", "no labels")
        require(name in summary, "score", name, f"rankme, which needs no labels: it could not be measured, {why}")
    scores = {name: summary[name] for name in names}
    data = json.loads((run / DATA).read_text())
    return {"scores": scores, "seconds": summary["wall_seconds"], "epochs": summary["epochs"], "data": data}


def _rankme(trained: Trained) -> float:
    """RankMe of at most 10,000 held-out images, or training images if none are held out."""
    from cplearn_solo.data import sampled
    from cplearn_solo.evaluation.scores import sample
    from cplearn_solo.inference.devices import device_after_training
    from cplearn_solo.inference.features import extractor
    from cplearn_solo.metrics.collapse import rankme

    module, config = trained.module, trained.module.config
    images = trained.splits.test or trained.splits.train
    features = extractor(module.backbone, module.method, config, device=device_after_training(config))
    return rankme(features(sampled(images, sample(len(images), config.seed))).x)


if __name__ == "__main__":
    with user_errors("trial"):
        run_trial(Path(sys.argv[1]))
