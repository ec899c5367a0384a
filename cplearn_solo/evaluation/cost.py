"""A rough estimate of how long the scores at the end of a run take."""

from __future__ import annotations

from cplearn_solo.data import Splits
from cplearn_solo.evaluation.reference_rows import MANY
from cplearn_solo.evaluation.scores import EMBEDDED_SAMPLES

# Seconds of probes, neighbours and clustering for each row of features, and for each number in it, on one core.
A_ROW, A_NUMBER = 1.4e-4, 5e-7


def evaluation_seconds(splits: Splits, an_image: float, features_dim: int, *, references: bool) -> float:
    """Estimated seconds, if the backbone takes ``an_image`` seconds per image.

    Without held-out images, only the verdict is computed. ``references``: whether a random backbone is scored, too.
    """
    if splits.test is None:
        return an_image * min(len(splits.train), EMBEDDED_SAMPLES)
    rows = len(splits.probe) + len(splits.test)
    backbones = 2 if references and rows <= MANY else 1
    return backbones * rows * (an_image + A_ROW + A_NUMBER * features_dim)
