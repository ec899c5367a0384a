"""One pass of a model over images."""

from __future__ import annotations

from collections.abc import Callable

import torch

from cplearn_solo.album.seen import Seen
from cplearn_solo.core.out_of_memory import large_batch_told
from cplearn_solo.data import ImageSet
from cplearn_solo.data.workers import Workers
from cplearn_solo.inference.pretrained import Pretrained
from cplearn_solo.inference.rows import representations

COMPARED = 100_000  # most images whose representations are kept and compared


@torch.no_grad()
def see(
    model: Pretrained,
    images: ImageSet,
    *,
    batch_size: int,
    num_workers: Workers,
    device: torch.device | str,
    seed: int = 0,
    most: int = COMPARED,
    progress: Callable[[int, int], None],
) -> Seen:
    """Representations, codes and their confidence as ``embed`` writes them.

    Of more than ``most`` images a choice by ``seed`` is kept. ``progress`` is called with (images done, images in all).
    """
    total = len(images)
    wanted = torch.zeros(total, dtype=torch.bool)
    wanted[torch.randperm(total, generator=torch.Generator().manual_seed(seed))[:most]] = True
    readable = torch.ones(total, dtype=torch.bool)
    features, assigned, done = [], [], 0
    with large_batch_told("batch_size", batch_size, device):
        for feats, bad in representations(model, images, 0, batch_size, num_workers, device):
            rows = slice(done, done + len(feats))
            readable[bad] = False
            features.append(feats[(wanted & readable)[rows].to(device)].cpu())
            if model.method.codes_total is not None:
                assigned.append([part.cpu() for part in model.method.assign_with_confidence(feats)])
            done += len(feats)
            progress(done, total)
    codes, confidence = (torch.cat(parts)[readable] for parts in zip(*assigned)) if assigned else (None, None)
    return Seen(
        codes=codes,
        confidence=confidence,
        labels=images.labels[readable],
        kept=wanted[readable].nonzero().flatten(),
        rows=(wanted & readable).nonzero().flatten(),
        features=torch.cat(features),
        unreadable=total - int(readable.sum()),
    )
