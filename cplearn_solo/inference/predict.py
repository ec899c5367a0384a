"""Classes of any number of images in a file, by the probe that a run carries."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from torch import Tensor

from cplearn_solo.core.errors import InputError
from cplearn_solo.data import ImageSet
from cplearn_solo.inference.pretrained import Pretrained
from cplearn_solo.inference.rows import Written, write_rows
from cplearn_solo.inference.targets import PREDICTIONS, new_file

PROBABILITY = "p_"  # before the name of a class


def predict(model: Pretrained, images: ImageSet, out: str | Path, **how: Any) -> Written:
    """Writes a row for each image that can be read, in order: file, class, its probability, and those of all classes.

    The classifier is the online probe: linear, trained beside the run on standardised representations of augmented
    images, and kept in its checkpoint. ``out`` ends in one of ``PREDICTIONS``; ``how`` goes to
    :func:`cplearn_solo.inference.rows.write_rows`, which says more. Raises ``InputError`` for a file that exists, and
    for a run whose training images had no labels.
    """
    out = new_file("OUT", out, PREDICTIONS, ".csv")
    names = class_names(model)
    return write_rows(model, images, out, partial(_columns, model, names), {"classes": names}, **how)


def class_names(model: Pretrained) -> list[str]:
    """Names of the run's classes, or their numbers if they are unknown; ``InputError`` for a run without classes."""
    if model.config.data.no_labels or model.num_classes < 2:
        raise InputError(f"{model.checkpoint}: must be of a run that had labels, its probe has learned no classes")
    named = len(set(model.classes)) == model.num_classes
    return list(model.classes) if named else [str(i) for i in range(model.num_classes)]


def _columns(model: Pretrained, names: list[str], feats: Tensor) -> pa.Table:
    probabilities = model.probe(feats).softmax(dim=1).cpu()
    highest, classes = probabilities.max(dim=1)
    found = {"class": [names[i] for i in classes.tolist()], "probability": highest.numpy()}
    each = {f"{PROBABILITY}{name}": column.numpy() for name, column in zip(names, probabilities.T.contiguous())}
    return pa.table({**found, **each})
