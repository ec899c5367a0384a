"""What the programs ``linear``, ``knn`` and ``clustering`` do: features of a run once, then scores."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from cplearn_solo.backbones import LastBlocks
from cplearn_solo.config.evaluation import EvalConfig, KNNConfig, LinearConfig
from cplearn_solo.data import ImageSet, Splits
from cplearn_solo.engine.provenance import provenance
from cplearn_solo.evaluation.scores import cluster_scores, knn_scores, linear_scores
from cplearn_solo.inference.devices import choose_device
from cplearn_solo.inference.features import Features, extractor
from cplearn_solo.inference.pretrained import Pretrained, load_pretrained
from cplearn_solo.inference.splits import require_held_out, splits_of

RECORDS = "evaluation.jsonl"  # of a run folder: a line for each evaluation


@dataclass(frozen=True)
class Evaluation:
    """``scores`` on held-out images, and the run folder's file that they were added to, if there is a run folder."""

    scores: dict[str, Any]
    record: Path | None


def evaluate(config: EvalConfig, *, progress: Callable[[int, int], None] | None = None) -> Evaluation:
    """Scores of the model ``config.pretrained``, of the kind that the class of ``config`` stands for.

    ``progress`` is called with (epochs done, epochs in all) while a linear probe trains.
    """
    device = choose_device(config.accelerator)
    model = load_pretrained(config.pretrained, device=device)
    splits, data = splits_of(model, config.data)
    require_held_out(splits, data)
    features = _extractor(model, config, device)
    if isinstance(config, LinearConfig):
        found = _linear(splits, config, features, device=device, progress=progress)
    elif isinstance(config, KNNConfig):
        found = _knn(splits, config, features, device)
    else:
        test = features(splits.test, batch_statistics=config.protocol == "train")
        found = cluster_scores(test, codes_total=model.method.codes_total, seed=config.seed)
    scores = {"scored_on": splits.name, "scored_images": len(splits.test), **found}
    return Evaluation(scores, _recorded(model.run, scores, config) if model.run else None)


def _extractor(model: Pretrained, config: EvalConfig, device: torch.device) -> Callable[..., Features]:
    backbone, method = model.backbone, model.method
    if isinstance(config, LinearConfig) and config.last_blocks:
        backbone, method = LastBlocks(model.backbone, config.last_blocks), None
    settings = {"batch_size": config.batch_size, "num_workers": config.num_workers, "device": device}
    return extractor(backbone, method, model.config, **settings)


def _linear(
    splits: Splits, config: LinearConfig, features: Callable[[ImageSet], Features], **how: Any
) -> dict[str, Any]:
    return linear_scores(
        features(splits.probe),
        features(splits.test),
        num_classes=splits.train.num_classes,
        epochs=config.max_epochs,
        lr=config.optimizer.lr,
        batch_size=config.optimizer.batch_size,
        weight_decay=config.optimizer.weight_decay,
        optimizer=config.optimizer.name,
        seed=config.seed,
        **how,
    )


def _knn(
    splits: Splits, config: KNNConfig, features: Callable[[ImageSet], Features], device: torch.device
) -> dict[str, Any]:
    train, test = features(splits.probe), features(splits.test)
    settings = {"k": config.k, "temperature": config.temperature, "device": device}
    return knn_scores(train, test, num_classes=splits.train.num_classes, **settings)


def _recorded(run: Path, scores: dict[str, Any], config: EvalConfig) -> Path:
    record = {"date": time.strftime("%Y-%m-%d %H:%M:%S"), **scores, "config": asdict(config), **provenance()}
    with open(run / RECORDS, "a") as file:
        file.write(json.dumps(record) + "\n")
    return run / RECORDS
