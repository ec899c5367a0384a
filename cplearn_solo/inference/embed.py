"""Representations of any number of images in a file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from cplearn_solo.core.errors import require
from cplearn_solo.data import ImageSet
from cplearn_solo.inference.formats import WRITERS, X, as_column
from cplearn_solo.inference.pretrained import Pretrained
from cplearn_solo.inference.rows import Written, write_rows
from cplearn_solo.inference.targets import check_asked, new_file


def embed(
    model: Pretrained,
    images: ImageSet,
    out: str | Path,
    *,
    space: str = "backbone",
    half: bool = False,
    **how: Any,
) -> Written:
    """Writes a row for each image that can be read, in order: file, representation, code and confidence.

    ``space``: ``backbone`` for representations Z ``(n, d)``, ``projector`` for embeddings H ``(n, f)``, both float32 or
    with ``half`` float16, or ``bits``: whether H > 0, eight to a uint8 ``(n, ceil(f / 8))``, the first one highest.
    Codes and their probability are written if the method has codes. ``out`` ends in one of ``WRITERS``; ``how`` goes to
    :func:`cplearn_solo.inference.rows.write_rows`, which says more.

    Rows are those of :func:`cplearn_solo.inference.features.extract`. Raises ``InputError`` for a file that exists, and
    for bits of a method without codes.
    """
    out = new_file("OUT", out, WRITERS, ".parquet")
    check_space(model, space, half)
    columns = partial(embedding_columns, model, space=space, half=half)
    about = {"space": space, "half": half, **({"f": _width(model)} if space == "bits" else {})}
    return write_rows(model, images, out, columns, about, **how)


def check_space(model: Pretrained, space: str, half: bool) -> None:
    """Raises ``InputError`` for a space that the run does not have."""
    check_asked(space, half)
    wanted = f"backbone or projector, {model.config.method} has no codes"
    require(space != "bits" or model.method.codes_total is not None, "space", space, wanted)


def embedding_columns(model: Pretrained, feats: Tensor, *, space: str, half: bool = False) -> pa.Table:
    """The columns of a batch of representations ``(n, d)``, without the names of its images."""
    z = feats if space == "backbone" else model.method.embed(feats).float()
    x = pack_bits(z) if space == "bits" else z.cpu().numpy()
    columns = {X: as_column(_in_half(x) if half else x)}
    if model.method.codes_total is not None:
        code, confidence = (values.cpu().numpy() for values in model.method.assign_with_confidence(feats))
        columns |= {"code": code, "confidence": confidence.astype(np.float32)}
    return pa.table(columns)


@torch.no_grad()
def _width(model: Pretrained) -> int:
    """The width f of embeddings."""
    weight = next(model.backbone.parameters())
    return model.method.embed(weight.new_zeros(1, model.backbone.num_features)).shape[1]


def pack_bits(h: Tensor) -> np.ndarray:
    """Whether H ``(n, f)`` > 0, eight to a uint8 ``(n, ceil(f / 8))``, the first one highest, as in the dictionary."""
    return np.packbits((h > 0).cpu().numpy(), axis=1)


def _in_half(x: np.ndarray) -> np.ndarray:
    largest, most = np.abs(x).max(), np.finfo(np.float16).max
    wanted = f"left out, there are numbers of {largest:.6g} and float16 ends at {most:.0f}"
    require(largest <= most, "half", True, wanted)
    return x.astype(np.float16)
