"""What a reader needs to know about an exported backbone, as the README of its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cplearn_solo.config.score_names import current_scores
from cplearn_solo.core.numbers import counted
from cplearn_solo.core.stored import read_json
from cplearn_solo.core.words import given_verdict
from cplearn_solo.data.centre import sides_of_files
from cplearn_solo.engine.asked import in_library
from cplearn_solo.engine.find import LAST
from cplearn_solo.engine.runs import DATA
from cplearn_solo.inference.pretrained import Pretrained

HEAD = """---
library_name: timm
pipeline_tag: image-feature-extraction
tags:
- image-feature-extraction
- self-supervised
- timm
- transformers
---
"""
USE = """```python
import timm

model = timm.create_model("local-dir:FOLDER", pretrained=True).eval()
config = timm.data.resolve_model_data_config(model)
transform = timm.data.create_transform(**config, is_training=False)
features = model(transform(image)[None])  # (1, {features})
```

Or `transformers.AutoModel.from_pretrained("FOLDER")`, whose `pooler_output` are the features.
"""


def model_card(model: Pretrained) -> str:
    """Markdown: data, method, images, scores next to chance, and the verdict on collapse."""
    config, size = model.config, model.config.augmentations[0].crop_size
    resized, _ = sides_of_files(size)
    lines = [
        f"# {config.backbone.name}, trained without labels by {config.method}",
        "",
        f"- Trained on: {_data(model)}",
        *_start(model),
        f"- Training: {_epochs(model)}, batches of {config.optimizer.batch_size}, seed {config.seed}",
        f"- Images: {config.data.channels} channels; shorter side resized to {resized} pixels, centre of {size} kept",
        f"- Values: in [0, 1], less {_listed(model.mean)} and over {_listed(model.std)}",
        f"- Features: {model.backbone.num_features}",
    ]
    ends = model.checkpoint.name == Path(LAST).name  # an earlier checkpoint has other scores than its run
    summary = current_scores(_of_run(model, "summary.json")) if ends else {}
    return "\n".join([HEAD, *lines, "", USE.format(features=model.backbone.num_features), *_scores(summary), ""])


def _epochs(model: Pretrained) -> str:
    """Epochs that it was trained for, with ``max_epochs`` if these were fewer."""
    asked = counted(model.config.max_epochs, "epoch")
    return asked if model.epochs in (None, model.config.max_epochs) else f"{model.epochs} of {asked}"


def _start(model: Pretrained) -> list[str]:
    """The weights before training, if not random; those of a library may have seen labels."""
    weights = model.config.backbone.weights
    if weights is None:
        return []
    return [f"- Started from: {weights if in_library(weights) else 'weights in a file'}"]


def _data(model: Pretrained) -> str:
    data, known = model.config.data, _of_run(model, DATA).get("train", {})
    images = f", {known['images']} images" if known else ""
    return f"{data.train_path if data.dataset == 'hub' else data.dataset}{images}"


def _scores(summary: dict[str, Any]) -> list[str]:
    if not summary:
        return ["## Scores", "", "None, as no finished run was exported but a checkpoint."]
    random, chance = (summary.get(name, {}) for name in ("random_backbone", "chance"))
    names = [name for name in summary if name in random or name in chance]
    where = f"On {summary['scored_images']} images, {summary['scored_on']}." if "scored_on" in summary else ""
    table = ["| score | value | random backbone | chance |", "|---|---|---|---|"]
    table += [f"| {name} | {' | '.join(_text(row.get(name)) for row in (summary, random, chance))} |" for name in names]
    reason = summary.get("verdict_reason")
    verdict = f"{given_verdict(summary)}{f': {reason}' if reason else ''}"
    return ["## Scores", "", *([where, "", *table] if names else ["None were measured."]), "", f"Collapse: {verdict}."]


def _of_run(model: Pretrained, name: str) -> dict[str, Any]:
    return read_json(model.run / name) if model.run else {}


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
