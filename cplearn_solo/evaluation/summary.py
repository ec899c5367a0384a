"""The content of ``summary.json`` of a finished run."""

from __future__ import annotations

from typing import Any

from cplearn_solo.config import Config
from cplearn_solo.core.machine import machine
from cplearn_solo.core.words import HEALTHY, NOT_LEARNED, TOO_EARLY
from cplearn_solo.data import Splits, sampled
from cplearn_solo.engine.advice import advised
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.engine.provenance import provenance
from cplearn_solo.engine.runs import read_derived
from cplearn_solo.engine.train import Trained
from cplearn_solo.engine.watch import measured, steps_made, told_more, too_early
from cplearn_solo.evaluation.learned import OWN_VIEW, learned_nothing, own_views
from cplearn_solo.evaluation.reference_rows import chance_scores, random_backbone_scores, random_module
from cplearn_solo.evaluation.scores import all_scores, images_of_scores, sample
from cplearn_solo.inference.devices import device_after_training
from cplearn_solo.inference.features import Features, extractor
from cplearn_solo.metrics.own_view import Measured
from cplearn_solo.metrics.verdict import Verdict, verdict_of

DRIFT = 10  # factor between the scales of the first and last epoch that is worth a note

NO_SCORES = ("_l2", "_chance", "_total", "_note", "left_out")  # endings of keys that are not scores


def summarize(trained: Trained, *, references: bool = True) -> tuple[dict[str, Any], Verdict]:
    """Scores of the frozen backbone as ``summary.json`` has them, and the verdict.

    A score that cannot be computed is absent, never 0. ``references``: whether to score chance and a random backbone of
    the same shape on the same images, too. Without them, a run that has learned nothing is not recognised by its
    scores.
    """
    module, splits, config = trained.module, trained.splits, trained.module.config
    rows = EpochLog.read(trained.run.path)
    seconds = sum(row["train_seconds"] for row in rows)
    summary: dict[str, Any] = {
        "method": config.method,
        "dataset": config.data.dataset,
        "backbone": config.backbone.name,
        "seed": config.seed,
        "epochs": _epochs(rows),
        "wall_seconds": round(seconds, 2),
        "images_per_second": round(sum(row["train_images"] for row in rows) / seconds, 1),
        "online_acc1": rows[-1].get("val_acc1") if module.num_classes > 1 else None,
    }
    device = device_after_training(config)
    summary["machine"] = machine(device)
    features = extractor(module.backbone, module.method, config, device=device)
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
        judged = features(sampled(splits.train, sample(len(splits.train), config.seed)))
    views = _own_views(trained, summary) if references else []
    verdict = _verdict(trained, judged, summary, rows, views)
    summary |= {"verdict": verdict.name, "verdict_reason": verdict.reason, "verdict_advice": verdict.advice or None}
    summary["verdict_measures"] = verdict.limits
    summary |= features_scale(rows)
    summary |= {"loss": rows[-1]["train_loss"], **provenance()}
    return {key: value for key, value in summary.items() if value is not None}, verdict


def _own_views(trained: Trained, summary: dict[str, Any]) -> list[Measured]:
    """How well the run and random weights recognise views of the images that the run is judged on, also written to
    ``summary``; empty for too few images."""
    splits, config = trained.splits, trained.module.config
    backbones = [trained.module.backbone, random_module(config, splits).backbone]
    views = own_views(backbones, splits.test or splits.train, config, device_after_training(config))
    if views:
        summary[OWN_VIEW] = views[0].value
        for name, value in (("random_backbone", views[1].value), ("chance", 0.5)):
            summary[name] = {**summary.get(name, {}), OWN_VIEW: value}
    return views


def _verdict(
    trained: Trained, judged: Features, summary: dict[str, Any], rows: list[dict[str, float]], views: list[Measured]
) -> Verdict:
    """Too early to tell, the collapse that stopped the run or that its features show, or whether it learned anything.

    ``judged``: features of the images that the run is judged on. ``rows``: the rows of its log.
    """
    module = trained.module
    method, config = module.method, module.config
    measures = measured(method, judged.x[sample(len(judged.x), config.seed)].to(module.device))
    epochs, derived = _epochs(rows), read_derived(trained.run.path)
    if why := too_early(config, epochs, steps_made(config, derived, epochs)):
        return Verdict(TOO_EARLY, why, "", measures)
    if trained.stopped_for:
        return trained.stopped_for
    verdict = verdict_of(measures, told_more=told_more([row.get("collapse_told_apart") for row in rows]))
    if verdict.name == HEALTHY and (why := learned_nothing(summary, int((judged.y >= 0).sum()), views)):
        verdict = Verdict(NOT_LEARNED, why, "", measures)
    return advised(verdict, config, method, derived)


def _epochs(rows: list[dict[str, float]]) -> int:
    """The number of trained epochs. A run that continues from a checkpoint alone has no rows of the epochs before
    it."""
    return int(rows[-1]["epoch"]) + 1


def features_scale(rows: list[dict[str, float]]) -> dict[str, Any]:
    """``features_std`` of the last epoch in the log's ``rows``, and ``scale_note`` if it has drifted in training.

    Nothing controls the scale of a representation that does not end in a normalisation, and a score that depends on the
    scale would rank runs by scale (CPLearn, Fig. 7 and Appendix A).
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
    """Scores of ``splits``' features that ``config`` asks for, and the images that they were measured on."""
    sizes = {"num_classes": num_classes, "codes_total": codes_total}
    device = device_after_training(config)
    scores = all_scores(train, test, config.evaluation, seed=config.seed, device=device, **sizes)
    return scores | images_of_scores(splits, test.y)
