"""Z and H as in the released code of CPLearn (its main_embeddings.py), to compare with Figs. 6, 13 and 15."""

from __future__ import annotations

import copy

import torch
from lightly.models.modules.heads import ProjectionHead
from torch import Tensor

from cplearn_solo.core.errors import require
from cplearn_solo.data import ImageSet
from cplearn_solo.inference.features import extractor
from cplearn_solo.inference.pretrained import Pretrained
from cplearn_solo.methods import Method
from cplearn_solo.methods.barlow_twins import BarlowTwins
from cplearn_solo.methods.gedi_nogen import GEDINoGen

BATCH = 64


@torch.no_grad()
def released_parts(model: Pretrained, images: ImageSet, device: torch.device) -> dict[str, Tensor]:
    """Z ``(n, d)`` and H ``(n, f)`` in batches of 64 in training mode: BatchNorm uses the statistics of each batch."""
    require(len(images) % BATCH != 1, "images", len(images), "another number: a batch of 64 would have one image left")
    features = extractor(model.backbone, None, model.config, device=device, batch_size=BATCH)
    z = features(images, batch_statistics=True).x
    method = copy.deepcopy(model.method).train()
    return {"Z": z, "H": torch.cat([_embeddings(method, batch.to(device)).cpu() for batch in z.split(BATCH)])}


def _embeddings(method: Method, feats: Tensor) -> Tensor:
    """H ``(n, f)``; for Barlow Twins and GEDI, the hidden layer after its ReLU, not the output of the projector."""
    if isinstance(method, (BarlowTwins, GEDINoGen)) and isinstance(method.projector, ProjectionHead):
        return method.projector.layers[:-1](feats)
    return method.embed(feats)
