"""What nothing learned is worth: the images themselves, and a backbone with the weights that training starts from."""

from __future__ import annotations

from typing import Any

import torch
from lightning import seed_everything
from torch import Tensor, nn

from cplearn_solo.config.schema import Config
from cplearn_solo.core.errors import InputError
from cplearn_solo.data import Splits, load_splits
from cplearn_solo.engine.module import Pretrainer, image_statistics
from cplearn_solo.engine.runs import git_sha, versions
from cplearn_solo.evaluation.scores import all_scores
from cplearn_solo.inference.features import extract


class NoCodes(nn.Module):
    """In a method's place where there is none."""

    codes_total = None

    def assign(self, feats: Tensor) -> None:
        """No codes."""


def floor_summary(kind: str, config: Config) -> dict[str, Any]:
    """Scores as a run's ``summary.json`` has them, of "Raw pixels" or of a "Random backbone" and its random codes."""
    seed_everything(config.seed, verbose=False)
    first = config.augmentations[0]
    splits = load_splits(config.data, seed=config.seed, mean=first.mean, std=first.std)
    if splits.test is None:
        raise InputError("no held-out images: give data.val_path or data.val_split")
    backbone, method, num_classes = _untrained(kind, config, splits)
    on_gpu = torch.cuda.is_available() and config.trainer.get("accelerator") != "cpu"
    settings = {"crop_size": first.crop_size, "num_workers": config.data.num_workers}
    train, test = (
        extract(backbone, method, images, device="cuda" if on_gpu else "cpu", **settings)
        for images in (splits.train, splits.test)
    )
    return {
        "method": kind,
        "dataset": config.data.dataset,
        "backbone": config.backbone.name if kind == "Random backbone" else "none",
        "seed": config.seed,
        **all_scores(
            train,
            test,
            config.evaluation,
            num_classes=num_classes,
            codes_total=method.codes_total,
            seed=config.seed,
        ),
        "scored_on": splits.name,
        "scored_images": len(splits.test),
        "versions": versions(),
        "git_sha": git_sha(),
    }


def _untrained(kind: str, config: Config, splits: Splits) -> tuple[nn.Module, nn.Module, int]:
    statistics = image_statistics(splits.train)
    if kind == "Raw pixels":
        return nn.Flatten(), NoCodes(), statistics["num_classes"]
    module = Pretrainer(config, **statistics)
    return module.backbone, module.method, statistics["num_classes"]
