"""The programs ``linear``, ``knn`` and ``clustering``: they extract the features of a run once, then score them."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cplearn_solo.backbones import LastBlocks
from cplearn_solo.config.evaluation import ClusteringConfig, EvalConfig, KNNConfig, LinearConfig
from cplearn_solo.core.errors import NotWritten
from cplearn_solo.core.files import append_line
from cplearn_solo.core.messages import Notice
from cplearn_solo.core.out_of_memory import large_batch_told
from cplearn_solo.data import Splits
from cplearn_solo.engine.provenance import provenance
from cplearn_solo.evaluation.linear import scored
from cplearn_solo.evaluation.on_images import train_on_images
from cplearn_solo.evaluation.scores import (
    cluster_scores,
    images_of_scores,
    knn_scores,
    linear_scores,
    named_scores,
    paper_linear_scores,
)
from cplearn_solo.inference.devices import choose_device
from cplearn_solo.inference.features import Features, extractor
from cplearn_solo.inference.pretrained import Pretrained, load_pretrained
from cplearn_solo.inference.splits import require_held_out, splits_of
from cplearn_solo.methods import Method

RECORDS = "evaluation.jsonl"  # of a run folder: a line for each evaluation


@dataclass(frozen=True)
class Evaluation:
    """``scores`` on held-out images, and the file of the run folder that they were added to, if there is a writable run
    folder."""

    scores: dict[str, Any]
    record: Path | None


def evaluate(config: EvalConfig, *, progress: Callable[[int, int], None] | None = None) -> Evaluation:
    """Scores of the model ``config.pretrained``, of the kind given by the class of ``config``.

    ``progress`` is called with (steps done, steps in all): penalties or epochs of a linear probe, votes of neighbours,
    starts of k-means.
    """
    device = choose_device(config.accelerator)
    model = load_pretrained(config.pretrained, device=device)
    config = config if config.seed is not None else replace(config, seed=model.config.seed)
    splits, data = splits_of(model, config.data)
    require_held_out(splits, data, not isinstance(config, ClusteringConfig))
    if isinstance(config, LinearConfig):
        test, found = _linear(model, splits, config, device, progress)
    elif isinstance(config, KNNConfig):
        features = _extractor(model.backbone, None, model, config, device)
        train, test = features(splits.probe), features(splits.test)
        how = {"k": config.k, "temperature": config.temperature, "device": device, "progress": progress}
        found = knn_scores(train, test, num_classes=splits.train.num_classes, **how)
    else:
        features = _extractor(model.backbone, model.method, model, config, device)
        test = features(splits.test, batch_statistics=config.protocol == "train")
        how = {"codes_total": model.method.codes_total, "seed": config.seed, "progress": progress}
        found = cluster_scores(test, **how)
    scores = {**images_of_scores(splits, test.y), **found}
    return Evaluation(scores, _recorded(model.run, scores, config) if model.run else None)


def _extractor(
    backbone: nn.Module, method: Method | None, model: Pretrained, config: EvalConfig, device: torch.device
) -> Callable[..., Features]:
    settings = {"batch_size": config.batch_size, "num_workers": config.num_workers, "device": device}
    told = large_batch_told("batch_size", config.batch_size, device)
    return told(extractor(backbone, method, model.config, **settings))


def _linear(
    model: Pretrained,
    splits: Splits,
    config: LinearConfig,
    device: torch.device,
    progress: Callable[[int, int], None] | None,
) -> tuple[Features, dict[str, Any]]:
    backbone = LastBlocks(model.backbone, config.last_blocks) if config.last_blocks else model.backbone
    sizes = {"num_classes": splits.train.num_classes}
    features = _extractor(backbone, None, model, config, device)
    if config.augment or config.finetune:
        with large_batch_told("optimizer.batch_size", config.optimizer.batch_size, device):
            classifier = train_on_images(
                backbone,
                splits.probe,
                features_dim=backbone.num_features,
                crop_size=model.config.augmentations[0].crop_size,
                epochs=config.max_epochs,
                optimizer=config.optimizer,
                finetune=config.finetune,
                num_workers=config.num_workers,
                seed=config.seed,
                device=device,
                progress=progress,
            )
        train, test = features(splits.probe).labelled(), features(splits.test).labelled()
        result = scored(classifier.cpu(), train.x, train.y, test.x, test.y, **sizes)
        return test, named_scores("finetuned" if config.finetune else "paper_linear_augmented", result, test.y)
    train, test = features(splits.probe), features(splits.test)
    how = {**sizes, "seed": config.seed, "device": device, "progress": progress}
    if config.protocol == "converged":
        return test, linear_scores(train, test, **how)
    return test, paper_linear_scores(
        train,
        test,
        epochs=config.max_epochs,
        lr=config.optimizer.lr,
        batch_size=config.optimizer.batch_size,
        weight_decay=config.optimizer.weight_decay,
        optimizer=config.optimizer.name,
        **how,
    )


def _recorded(run: Path, scores: dict[str, Any], config: EvalConfig) -> Path | None:
    record = {"date": time.strftime("%Y-%m-%d %H:%M:%S"), **scores, "config": asdict(config), **provenance()}
    try:
        return append_line(run / RECORDS, json.dumps(record))
    except NotWritten as error:  # e.g. another user's run; its scores are still returned
        warnings.warn(str(error), Notice, stacklevel=2)
        return None
