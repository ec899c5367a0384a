"""Which images of a set are used: the first ones, a share of every class, or what a held-out part leaves."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cplearn_solo.core.errors import require
from cplearn_solo.data.image_set import ImageSet


def first(images: ImageSet, count: int | None) -> ImageSet:
    """The first ``count`` images; all of them for ``None``."""
    return images if count is None or count >= len(images) else images.subset(torch.arange(count))


def fraction(images: ImageSet, share: float, seed: int) -> ImageSet:
    """A share of every class; raises ``InputError`` where no image is left."""
    kept, _ = stratified(images.labels, share, seed)
    require(len(kept) > 0, "data.fraction", share, f"a share that keeps an image of {len(images)}")
    return images.subset(kept)


def hold_out(images: ImageSet, share: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """The remaining training images, and the held-out ones: a share of every class of those with a label.

    Raises ``InputError`` where either is empty.
    """
    labelled = (images.labels >= 0).nonzero().flatten()
    held = labelled[stratified(images.labels[labelled], share, seed)[0]]
    rest = torch.ones(len(images), dtype=torch.bool).index_fill(0, held, False).nonzero().flatten()
    wanted = f"a share that leaves both training and held-out images, of {len(images)}"
    require(len(held) > 0 and len(rest) > 0, "data.val_split", share, wanted)
    return images.subset(rest), images.subset(held)


def stratified(labels: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of a share of the images, alike in every class to within one image, and of the rest; both sorted."""
    shuffled = torch.from_numpy(np.random.default_rng(seed).permutation(len(labels)))
    by_class = shuffled[labels[shuffled].argsort(stable=True)]
    # Walking through class after class and taking an image whenever share * position passes an integer.
    taken = torch.arange(len(labels) + 1, dtype=torch.float64).mul(share).add(0.5).floor().diff() > 0
    return by_class[taken].sort().values, by_class[~taken].sort().values
