"""Features of a data set, extracted once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from cplearn_solo.config import Config
from cplearn_solo.core.errors import require
from cplearn_solo.core.progress import tracked
from cplearn_solo.data import ImageSet, Normalise, eval_loader
from cplearn_solo.data.file_loader import lost_workers_told
from cplearn_solo.data.workers import Workers
from cplearn_solo.methods import Method


@dataclass(frozen=True)
class Features:
    """Representation ``x`` ``(n, d)`` float32, labels ``y`` ``(n,)``, -1 where unknown, and codes ``(n,)``, if any.

    ``released``: codes ``(n,)`` as the released scripts take them, for any method (:meth:`Method.released_codes`).
    """

    x: Tensor
    y: Tensor
    codes: Tensor | None
    released: Tensor | None = None

    def labelled(self) -> Features:
        """Only the samples with a label."""
        known = self.y >= 0
        if known.all():
            return self
        codes, released = (None if ids is None else ids[known] for ids in (self.codes, self.released))
        return Features(self.x[known], self.y[known], codes, released)


@torch.no_grad()
def extract(
    backbone: nn.Module,
    method: Method | None,
    images: ImageSet,
    *,
    crop_size: int,
    batch_size: int = 256,
    num_workers: Workers = 0,
    device: torch.device | str = "cpu",
    batch_statistics: bool = False,
    title: str = "features",
) -> Features:
    """Features of ``images`` and codes by ``method``, in order; the result does not depend on ``batch_size``.

    ``batch_statistics=True`` is the released scripts' protocol instead: BatchNorm uses each evaluation batch's own
    statistics, so that codes depend on the batch; ``InputError`` for a batch of one image. The models do not change.
    """
    alone = batch_statistics and 1 in (batch_size, len(images) % batch_size)
    require(not alone, "batch_size", batch_size, f"another: one of {len(images)} images would be a batch by itself")
    backbone, method = (m and copy.deepcopy(m).to(device).train(batch_statistics) for m in (backbone, method))
    settings = {"batch_size": batch_size, "num_workers": num_workers, "device": device}
    loader = eval_loader(images, crop_size=crop_size, **settings)
    normalise = Normalise(images.mean, images.std)
    xs, ys, codes, released = [], [], [], []
    with lost_workers_told(num_workers):
        for _, batch, labels in tracked(loader, title, total=len(loader)):
            feats = backbone(normalise(batch.to(device, non_blocking=True))).float()
            code = method and method.assign(feats)
            xs.append(feats.cpu())
            ys.append(labels)
            if code is not None:
                codes.append(code.cpu())
            if method is not None:
                released.append(method.released_codes(feats, code).cpu())
    ids = (torch.cat(parts) if parts else None for parts in (codes, released))
    return Features(torch.cat(xs), torch.cat(ys), *ids)


def extractor(
    backbone: nn.Module,
    method: Method | None,
    config: Config,
    *,
    device: torch.device,
    batch_size: int = 256,
    num_workers: Workers | None = None,
) -> Callable[..., Features]:
    """:func:`extract` with the models of a run: only the images remain to be given.

    ``config``, the run's, decides the size of images, and how many processes decode them unless ``num_workers`` does.
    """
    workers = config.data.num_workers if num_workers is None else num_workers
    crop_size = config.augmentations[0].crop_size
    settings = {"crop_size": crop_size, "batch_size": batch_size, "num_workers": workers, "device": device}
    return partial(extract, backbone, method, **settings)
