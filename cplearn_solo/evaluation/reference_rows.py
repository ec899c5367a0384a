"""Scores without learning: of chance, of the images themselves, and of a backbone with random weights.

The names need no trainer, so a finished table is shown without importing one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cplearn_solo.config.schema import Config

if TYPE_CHECKING:
    from cplearn_solo.data import Splits
    from cplearn_solo.engine.module import Pretrainer

RAW_PIXELS, RANDOM_BACKBONE = REFERENCE_ROWS = "Raw pixels", "Random backbone"

MANY = 100_000  # images; with more, a run's own table has no random backbone


def chance_scores(labels: Any, scores: dict[str, Any]) -> dict[str, float]:
    """The known values of ``scores`` for a guess that ignores the images, which have these ``labels`` ``(n,)``.

    Accuracy is the share of the most frequent class, balanced accuracy one over the number of classes; scores that are
    corrected for chance are 0.
    """
    _, counts = labels[labels >= 0].unique(return_counts=True)
    if len(counts) < 2:
        return {}
    most, each = (counts.max() / counts.sum()).item(), 1 / len(counts)
    found = {}
    for name in scores:
        if name.endswith("_acc1") and "train" not in name:
            found[name] = each if "balanced" in name else most
        elif name.endswith(("ami", "ari")):
            found[name] = 0.0
        elif f"{name}_chance" in scores:
            found[name] = scores[f"{name}_chance"]
    return found


def random_module(config: Config, splits: Splits) -> Pretrainer:
    """Backbone and method of a run with random weights, as at the start of training."""
    import torch

    from cplearn_solo.core.surroundings import forked_generators
    from cplearn_solo.engine.module import Pretrainer, image_statistics

    with forked_generators():
        torch.manual_seed(config.seed)
        return Pretrainer(config, **image_statistics(splits.train))


def random_backbone_scores(config: Config, splits: Splits) -> dict[str, Any]:
    """Scores of a backbone and a method of the same shape with random weights, as at the start of training.

    Empty without held-out images, or if there are so many images that it would take long. The paper's probe, which
    takes longest, is left out.
    """
    from cplearn_solo.evaluation.scores import converged_scores
    from cplearn_solo.inference.devices import device_after_training
    from cplearn_solo.inference.features import extractor

    if splits.test is None or len(splits.probe) + len(splits.test) > MANY:
        return {}
    device, module = device_after_training(config), random_module(config, splits)
    features = extractor(module.backbone, module.method, config, device=device)
    train, test = (features(images, title="random backbone") for images in (splits.probe, splits.test))
    sizes = {"num_classes": module.num_classes, "codes_total": module.method.codes_total}
    return converged_scores(train, test, config.evaluation, seed=config.seed, device=device, **sizes)


def reference_row(row: str, config: Config) -> dict[str, dict[str, Any]]:
    """One of ``REFERENCE_ROWS`` on the images of ``config``: ``summary`` as a run's ``summary.json`` has it, and
    ``data``, the fingerprint of the images."""
    from lightning import seed_everything
    from torch import nn

    from cplearn_solo.engine.prepare import training_splits
    from cplearn_solo.engine.provenance import provenance
    from cplearn_solo.evaluation.summary import split_scores
    from cplearn_solo.inference.devices import device_after_training
    from cplearn_solo.inference.features import extractor
    from cplearn_solo.inference.splits import require_held_out

    seed_everything(config.seed, verbose=False)
    splits = training_splits(config)
    require_held_out(splits, config.data)
    backbone, method = nn.Flatten(), None
    if row == RANDOM_BACKBONE:
        module = random_module(config, splits)
        backbone, method = module.backbone, module.method
    features = extractor(backbone, method, config, device=device_after_training(config))
    sizes = {"num_classes": splits.train.num_classes, "codes_total": None if method is None else method.codes_total}
    summary = {
        "method": row,
        "dataset": config.data.dataset,
        "backbone": "none" if method is None else config.backbone.name,
        "seed": config.seed,
        **split_scores(features(splits.probe), features(splits.test), splits, config, **sizes),
        **provenance(),
    }
    return {"summary": summary, "data": splits.fingerprint}
