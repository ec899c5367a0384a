"""What ``summary.json`` says of a finished run."""

from __future__ import annotations

from typing import Any

from cplearn_solo.config import Config
from cplearn_solo.data import Splits
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.engine.provenance import provenance
from cplearn_solo.engine.train import Trained
from cplearn_solo.engine.watch import can_be_judged, judge
from cplearn_solo.evaluation.reference_rows import chance_scores, random_backbone_scores
from cplearn_solo.evaluation.scores import all_scores, sample
from cplearn_solo.inference.devices import device_after_training
from cplearn_solo.inference.features import Features, extractor
from cplearn_solo.metrics.verdict import Verdict

DRIFT = 10  # times the scale in the first epoch that is worth a note

NO_SCORES = ("_l2", "_chance", "_total", "_note", "left_out")  # endings of what else there is among scores


def summarize(trained: Trained, *, references: bool = True) -> tuple[dict[str, Any], Verdict | None]:
    """Scores of the frozen backbone as ``summary.json`` has them, and the verdict if the run can be judged.

    What cannot be computed is absent, never 0. ``references``: with what chance and a random backbone of the same shape
    score on the same images.
    """
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
        "online_acc1": rows[-1].get("val_acc1") if module.num_classes > 1 else None,
    }
    features = extractor(module.backbone, module.method, config, device=device_after_training(config))
    if splits.test:
        train = features(splits.probe, title="training images")
        judged = features(splits.test, title=f"{splits.name} images")
        sizes = {"num_classes": module.num_classes, "codes_total": module.method.codes_total}
        summary |= split_scores(train, judged, splits, config, **sizes)
        if references:
            random = random_backbone_scores(config, splits)
            summary["random_backbone"] = {k: v for k, v in random.items() if not k.endswith(NO_SCORES)}
            summary["chance"] = chance_scores(judged.y, summary)
    else:
        judged = features(splits.train.subset(sample(len(splits.train), config.seed)))
    verdict = None
    if can_be_judged(config, len(rows)):
        seen = judged.x[sample(len(judged.x), config.seed)].to(module.device)
        verdict = trained.stopped_for or judge(module.method, seen)
        summary |= {"verdict": verdict.name, "verdict_reason": verdict.reason}
    summary |= features_scale(rows)
    summary |= {"loss": rows[-1]["train_loss"], **provenance()}
    return {key: value for key, value in summary.items() if value is not None}, verdict


def features_scale(rows: list[dict[str, float]]) -> dict[str, Any]:
    """``features_std`` of the last epoch in the log's ``rows``, and ``scale_note`` where it has drifted in training.

    Nothing holds the scale of a representation that no normalisation ends, and a score that depends on it would rank
    scales (CPLearn, Fig. 7 and Appendix A).
    """
    stds = [row["train_features_std"] for row in rows if "train_features_std" in row]
    if not stds:
        return {}
    low, high = sorted((stds[0], stds[-1]))
    if high < DRIFT * low:
        return {"features_std": stds[-1]}
    words = f"features had a standard deviation of {stds[0]:.3g} in the first epoch and of {stds[-1]:.3g} in the last"
    return {"features_std": stds[-1], "scale_note": f"{words}: paper_linear_acc1 depends on it"}


def split_scores(
    train: Features, test: Features, splits: Splits, config: Config, *, num_classes: int, codes_total: int | None
) -> dict[str, Any]:
    """Scores of ``splits``' features that ``config`` asks for, and the images that they were measured on.

    ``probe_images`` are those that a probe and neighbours learned from where training images have no labels.
    """
    sizes = {"num_classes": num_classes, "codes_total": codes_total}
    device = device_after_training(config)
    scores = all_scores(train, test, config.evaluation, seed=config.seed, device=device, **sizes)
    scores |= {"scored_on": splits.name, "scored_images": len(splits.test)}
    return scores if splits.probe is splits.train else {**scores, "probe_images": len(splits.probe)}
