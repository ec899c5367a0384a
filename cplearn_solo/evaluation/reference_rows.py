"""What nothing learned is worth: the images themselves, and a backbone with the weights that training starts from.

The names need no trainer, so that a finished table is shown without waiting for one.
"""

from __future__ import annotations

from typing import Any

from cplearn_solo.config.schema import Config

RAW_PIXELS, RANDOM_BACKBONE = REFERENCE_ROWS = "Raw pixels", "Random backbone"


def reference_row_summary(row: str, config: Config) -> dict[str, Any]:
    """Scores as a run's ``summary.json`` has them, of one of ``REFERENCE_ROWS`` on the images of ``config``."""
    from lightning import seed_everything
    from torch import nn

    from cplearn_solo.data import load_splits
    from cplearn_solo.engine.module import Pretrainer, image_statistics
    from cplearn_solo.engine.provenance import provenance
    from cplearn_solo.evaluation.summary import split_scores
    from cplearn_solo.inference.devices import device_after_training
    from cplearn_solo.inference.features import extractor
    from cplearn_solo.inference.splits import require_held_out

    seed_everything(config.seed, verbose=False)
    first = config.augmentations[0]
    splits = load_splits(config.data, seed=config.seed, mean=first.mean, std=first.std)
    require_held_out(splits, config.data)
    statistics = image_statistics(splits.train)
    backbone, method = nn.Flatten(), None
    if row == RANDOM_BACKBONE:
        module = Pretrainer(config, **statistics)
        backbone, method = module.backbone, module.method
    features = extractor(backbone, method, config, device=device_after_training(config))
    sizes = {"num_classes": statistics["num_classes"], "codes_total": None if method is None else method.codes_total}
    return {
        "method": row,
        "dataset": config.data.dataset,
        "backbone": "none" if method is None else config.backbone.name,
        "seed": config.seed,
        **split_scores(features(splits.probe), features(splits.test), splits, config, **sizes),
        **provenance(),
    }
