"""Runs and checkpoints as subjects of a report."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cplearn_solo.collapse.released import released_parts
from cplearn_solo.collapse.subject import Origin, Subject, checked, choice, described
from cplearn_solo.core.stored import read_json
from cplearn_solo.core.words import TOO_EARLY
from cplearn_solo.data import ImageSet, sampled
from cplearn_solo.engine.checkpoint import read_checkpoint
from cplearn_solo.engine.find import find_checkpoint, kept_checkpoints
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.engine.watch import too_early
from cplearn_solo.inference.devices import choose_device
from cplearn_solo.inference.features import Features, extractor
from cplearn_solo.inference.pretrained import Pretrained, load_pretrained, trained_config
from cplearn_solo.inference.splits import splits_of
from cplearn_solo.metrics.verdict import Verdict

MAX_EPOCHS = 8  # kept checkpoints whose features are extracted, spread evenly over training
EMBEDDED_AT_ONCE = 4096


def from_run(path: Path, *, images: int, data: dict[str, Any], seed: int, released: bool) -> Subject:
    """The subject of the run folder or checkpoint at ``path``; see :func:`read_subject`."""
    device = choose_device()
    model = load_pretrained(path, device=device)
    whole, places, samples = _held_out(model, data, images=images, seed=seed)
    held_out = sampled(whole, places)
    features = _features(model, held_out, device)
    x = checked(f"{path}: features", features.x)
    embeddings = torch.cat([model.method.embed(part.to(device)).cpu() for part in x.split(EMBEDDED_AT_ONCE)])
    assigned = [model.method.assign_with_confidence(part.to(device)) for part in x.split(EMBEDDED_AT_ONCE)]
    entropies = model.method.code_entropies(x.to(device))
    kept = _kept(model.run, held_out, device) if path.is_dir() else {}
    return Subject(
        names=_names(model),
        path=path,
        samples=samples,
        features=x,
        embeddings=checked(f"{path}: embeddings", embeddings),
        labels=features.y if (features.y >= 0).any() else None,
        codes=features.codes,
        confidence=None if features.codes is None else torch.cat([sure for _, sure in assigned]).cpu(),
        codes_total=model.method.codes_total,
        entropies=None if entropies is None else tuple(entropy.item() for entropy in entropies),
        classes=held_out.classes,
        images=whole,
        places=places,
        released=released_parts(model, held_out, device) if released else {},
        method=model.method.cpu(),
        config=model.config.stored(),
        run=model.run,
        rows=_rows(model.run, model.checkpoint),
        kept=kept,
        verdict=_given(model, data),
    )


def run_origin(path: Path) -> Origin:
    """The origin of the run folder or checkpoint at ``path``."""
    file, run = find_checkpoint(path)
    return Origin(path, trained_config(read_checkpoint(file)).stored(), len(_rows(run, file)))


def _given(model: Pretrained, data: dict[str, Any]) -> Verdict | None:
    """The stored verdict of a finished run on its own images, or that its training was too short; else ``None``."""
    finished = model.run is not None and not data and model.checkpoint.stem == "last"
    summary = read_json(model.run / "summary.json") if finished else {}
    if "verdict_measures" in summary:  # 0.2.0 did not write them
        measures = {name: entry["value"] for name, entry in summary["verdict_measures"].items()}
        return Verdict(summary["verdict"], summary["verdict_reason"], summary.get("verdict_advice", ""), measures)
    why = too_early(model.config, model.epochs, model.steps) if model.epochs else ""
    return Verdict(TOO_EARLY, why, "", {}) if why else None


def _held_out(model: Pretrained, data: dict[str, Any], *, images: int, seed: int) -> tuple[ImageSet, Tensor, str]:
    """Held-out images, or training images if none are held out, a seeded choice of them, and its description."""
    splits, config = splits_of(model, data)
    whole = splits.train if splits.test is None else splits.test
    kind = "training images (none are held out)" if splits.test is None else f"{splits.name} images"
    chosen = choice(len(whole), images, seed)
    return whole, chosen, described(len(chosen), len(whole), f"{config.dataset} {kind}")


def _features(model: Pretrained, images: ImageSet, device: torch.device) -> Features:
    return extractor(model.backbone, model.method, model.config, device=device)(images)


def _kept(run: Path, images: ImageSet, device: torch.device) -> dict[int, Tensor]:
    """Features of a run's kept checkpoints by epoch, of at most eight, including the first and the last."""
    files = kept_checkpoints(run)
    epochs = list(files)
    if len(epochs) > MAX_EPOCHS:
        epochs = [epochs[round(i * (len(epochs) - 1) / (MAX_EPOCHS - 1))] for i in range(MAX_EPOCHS)]
    return {epoch: _features(load_pretrained(files[epoch], device=device), images, device).x for epoch in epochs}


def _rows(run: Path | None, checkpoint: Path) -> list[dict[str, float]]:
    """Rows of the run's metrics.csv; for a checkpoint kept at an epoch, only those before it."""
    epochs = re.fullmatch(r"epoch=(\d+)", checkpoint.stem)
    if run is None or not (run / "metrics.csv").is_file():
        return []
    return [row for row in EpochLog.read(run) if epochs is None or row["epoch"] < int(epochs[1])]


def _names(model: Pretrained) -> tuple[str, ...]:
    name = model.config.name
    if model.checkpoint.stem != "last":
        name = f"{name} {model.checkpoint.stem}"
    return (name, f"{name} {model.run.resolve().name}") if model.run else (name,)
