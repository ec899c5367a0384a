"""What the programs do once their configuration is composed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import Progress

from cplearn_solo.backbones import LastBlocks
from cplearn_solo.cli.report import print_scores
from cplearn_solo.config.checks import check_numbers
from cplearn_solo.config.evaluation import ClusteringConfig, EvalConfig, KNNConfig, LinearConfig
from cplearn_solo.config.read import parse_config
from cplearn_solo.core.errors import InputError, unknown
from cplearn_solo.core.schema import read_schema
from cplearn_solo.data import DataConfig, ImageSet, Splits, load_splits
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.engine.runs import git_sha, versions
from cplearn_solo.engine.train import Trained, pretrain
from cplearn_solo.engine.watch import can_be_judged, judge
from cplearn_solo.evaluation.linear import learning_rates
from cplearn_solo.evaluation.scores import all_scores, cluster_scores, knn_scores, linear_scores, sample
from cplearn_solo.inference.features import Features, extract
from cplearn_solo.inference.pretrained import Pretrained, load_pretrained


def pretrain_task(raw: DictConfig) -> None:
    """Trains, scores the frozen backbone, writes ``summary.json`` and says what to do next."""
    trained = pretrain(parse_config(raw))
    if rank_zero_only.rank != 0:
        return
    run = trained.run.path
    try:
        print("training done; evaluating the frozen backbone", flush=True)
        summary = _summary(trained)
        trained.run.write_json("summary.json", summary)
    finally:
        trained.run.close()
    print_scores(f"{run}", summary)
    if not trained.module.config.checkpoint.enabled:
        return
    print("\nnext:")
    for command in ("linear", "knn", "clustering"):
        print(f"  cplearn {command} pretrained={run}")
    print(f"  cplearn collapse {run}")
    print(f"  cplearn export {run} backbone.pt")


def export(pretrained: str, file: str) -> None:
    """Writes the backbone's state dict to ``file``, which must not exist."""
    target = Path(file)
    if target.exists():
        raise InputError(f"{target} exists already: choose another name")
    if not target.parent.is_dir():
        raise InputError(f"{target}: there is no folder {target.parent}")
    model = load_pretrained(pretrained)
    weights = {key: value.contiguous() for key, value in model.backbone.state_dict().items()}
    torch.save(weights, target)
    size = sum(value.numel() for value in weights.values())
    print(f"{target}: {len(weights)} tensors, {size:,} numbers, of {model.config.backbone.name}")
    print(f"images: {model.config.augmentations[0].crop_size} pixels, mean {model.mean}, std {model.std}")
    print(f"{_made_by(model)}\nmodel.load_state_dict(torch.load({str(target)!r}, weights_only=True))")


def _made_by(model: Pretrained) -> str:
    """Python that makes an empty backbone for the weights."""
    backbone, size = model.config.backbone, model.config.augmentations[0].crop_size
    kwargs = "".join(f", {key}={value!r}" for key, value in backbone.kwargs.items())
    return (
        "from cplearn_solo.backbones import build_backbone\n"
        f"model = build_backbone({backbone.name!r}, crop_size={size}{kwargs})"
    )


def _summary(trained: Trained) -> dict[str, Any]:
    module, splits, config = trained.module, trained.splits, trained.module.config
    rows = EpochLog.read(trained.run.path)
    seconds = sum(row["train_seconds"] for row in rows)
    summary: dict[str, Any] = {
        "method": config.method,
        "dataset": config.data.dataset,
        "backbone": config.backbone.name,
        "seed": config.seed,
        "epochs": len(rows),
        "wall_seconds": round(seconds, 2),
        "images_per_second": round(sum(row["train_images"] for row in rows) / seconds, 1),
        "online_acc1": rows[-1].get("val_acc1"),
    }
    device = _device("cpu" if config.trainer.get("accelerator") == "cpu" else "auto")
    features = partial(
        extract,
        module.backbone,
        module.method,
        **_settings(config.augmentations[0].crop_size, 256, config.data.num_workers, device),
    )
    if splits.test:
        train = features(splits.train, title="training images")
        test = judged = features(splits.test, title=f"{splits.name} images")
        with Console().status("linear probe, nearest neighbours, clustering"):
            summary |= all_scores(
                train,
                test,
                config.evaluation,
                num_classes=module.num_classes,
                codes_total=module.method.codes_total,
                seed=config.seed,
            )
        summary |= {"scored_on": splits.name, "scored_images": len(splits.test)}
    else:
        needed = "no labels" if config.data.no_labels else "no held-out images: set data.val_path or data.val_split"
        print(f"{needed}, so no scores")
        judged = features(splits.train.subset(sample(len(splits.train), config.seed)))
    if can_be_judged(config, len(rows)):
        seen = judged.x[sample(len(judged.x), config.seed)].to(module.device)
        verdict = trained.stopped_for or judge(module.method, seen)
        summary |= {"verdict": verdict.name, "verdict_reason": verdict.reason}
        print(verdict.message)
    summary |= {"loss": rows[-1]["train_loss"], "versions": versions(), "git_sha": git_sha()}
    return {key: value for key, value in summary.items() if value is not None}


def _settings(crop_size: int, batch_size: int, num_workers: int, device: torch.device) -> dict[str, Any]:
    return {"crop_size": crop_size, "batch_size": batch_size, "num_workers": num_workers, "device": device}


def _evaluation(raw: DictConfig, *, schema: type[EvalConfig], score: Callable[..., dict[str, float]]) -> None:
    """Loads what ``raw`` names, extracts features once, prints and records ``score``."""
    config = read_schema(OmegaConf.to_container(raw, resolve=True), schema)
    if not config.pretrained:
        raise InputError("pretrained is missing: pretrained=RUN_OR_CHECKPOINT")
    at_least = {"batch_size": 1, "num_workers": 0, "max_epochs": 1, "k": 1}
    numbers = {key: (getattr(config, key), low) for key, low in at_least.items() if hasattr(config, key)}
    if isinstance(config, LinearConfig):
        numbers["optimizer.batch_size"] = (config.optimizer.batch_size, 1)
    check_numbers(numbers, seed=config.seed)
    device = _device(config.accelerator)
    model = load_pretrained(config.pretrained, device=device)
    splits = _splits(model, config.data)
    scores = score(model, splits, config, _extractor(model, config, device))
    shown = {"scored_on": splits.name, "scored_images": len(splits.test), **scores}
    print_scores(str(config.pretrained), shown)
    if model.run:
        record = {
            "date": time.strftime("%Y-%m-%d %H:%M:%S"),
            **shown,
            "config": asdict(config),
            "versions": versions(),
            "git_sha": git_sha(),
        }
        with open(model.run / "evaluation.jsonl", "a") as file:
            file.write(json.dumps(record) + "\n")
        print(f"added to {model.run / 'evaluation.jsonl'}")


def _linear(model: Pretrained, splits: Splits, config: LinearConfig, features: Callable[[ImageSet], Features]):
    rates = learning_rates("optimizer.lr", config.optimizer.lr)  # before features take their time
    if config.last_blocks:
        features = partial(extract, LastBlocks(model.backbone, config.last_blocks), None, **features.keywords)
    train, test = features(splits.train), features(splits.test)
    with Progress(transient=True) as progress:
        bar = progress.add_task("linear probe")
        return linear_scores(
            train,
            test,
            num_classes=splits.train.num_classes,
            epochs=config.max_epochs,
            lr=rates,
            batch_size=config.optimizer.batch_size,
            weight_decay=config.optimizer.weight_decay,
            optimizer=config.optimizer.name,
            seed=config.seed,
            device=_device(config.accelerator),
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )


def _knn(model: Pretrained, splits: Splits, config: KNNConfig, features: Callable[[ImageSet], Features]):
    train, test = features(splits.train), features(splits.test)
    return knn_scores(train, test, num_classes=splits.train.num_classes, k=config.k, temperature=config.temperature)


def _clustering(model: Pretrained, splits: Splits, config: ClusteringConfig, features: Callable[[ImageSet], Features]):
    if config.protocol not in ("eval", "train"):
        raise unknown("protocol", config.protocol, ("eval", "train"))
    test = features(splits.test, batch_statistics=config.protocol == "train")
    return cluster_scores(test, codes_total=model.method.codes_total, seed=config.seed)


def _splits(model: Pretrained, overrides: dict[str, Any]) -> Splits:
    data = read_schema({**asdict(model.config.data), **overrides}, DataConfig)
    # the backbone knows the pixels it was trained on
    splits = load_splits(data, seed=model.config.seed, mean=model.mean, std=model.std)
    if splits.test is None and data.no_labels:
        raise InputError("data.no_labels = True: nothing to score; data.no_labels=false wants a folder for each class")
    if splits.test is None:
        raise InputError("no held-out images: give data.val_path or data.val_split")
    return splits


def _extractor(model: Pretrained, config: EvalConfig, device: torch.device) -> Callable[..., Features]:
    settings = _settings(model.config.augmentations[0].crop_size, config.batch_size, config.num_workers, device)
    return partial(extract, model.backbone, model.method, **settings)


def _device(accelerator: str) -> torch.device:
    choices = ("auto", "cpu", "cuda", "gpu")
    if accelerator not in choices:
        raise unknown("accelerator", accelerator, choices)
    if accelerator in ("cuda", "gpu") and not torch.cuda.is_available():
        raise InputError(f"accelerator = {accelerator!r}: no GPU was found here; choices are auto, cpu")
    return torch.device("cpu" if accelerator == "cpu" or not torch.cuda.is_available() else "cuda")


TASKS = {
    "pretrain": pretrain_task,
    "linear": partial(_evaluation, schema=LinearConfig, score=_linear),
    "knn": partial(_evaluation, schema=KNNConfig, score=_knn),
    "clustering": partial(_evaluation, schema=ClusteringConfig, score=_clustering),
}
