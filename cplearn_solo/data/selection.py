"""Which images of a set are used: the first ones, a share of every class, imbalanced classes, held-out images."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

from cplearn_solo.core.errors import require
from cplearn_solo.data.image_set import FileSet, ImageSet
from cplearn_solo.data.index import Index
from cplearn_solo.data.notes import say_once
from cplearn_solo.data.schema import DataConfig


def parts(images: ImageSet, cfg: DataConfig, seed: int) -> tuple[ImageSet, ImageSet | None]:
    """What ``cfg`` chooses of ``images`` to train on, and what it holds out of them, if anything."""
    images, held = first(images, cfg.max_train_images), None
    if cfg.val_split:
        images, held = hold_out(images, cfg.val_split, seed)
    if cfg.imbalance is not None:
        images = imbalanced(images, cfg.imbalance, seed)
    if cfg.fraction != -1:
        images = fraction(images, cfg.fraction, seed)
    return images, held


def first(images: ImageSet, count: int | None) -> ImageSet:
    """The first ``count`` images; all of them for ``None``."""
    return images if count is None or count >= len(images) else images.subset(torch.arange(count))


def fraction(images: ImageSet, share: float, seed: int) -> ImageSet:
    """A share of every class; raises ``InputError`` where no image is left."""
    kept, _ = stratified(images.labels, share, seed)
    require(len(kept) > 0, "data.fraction", share, f"a share that keeps an image of {len(images)}")
    return images.subset(kept)


def hold_out(images: ImageSet, share: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """The remaining training images, and the held-out ones: a share of those with a label.

    Of images in memory, the same share of every class is held out. Each image in a file is drawn independently, as a
    function of ``seed`` and its name (in tables, its content), so that adding or removing images changes nothing for
    the others. Raises ``InputError`` if either part is empty.
    """
    labelled = (images.labels >= 0).nonzero().flatten()
    if isinstance(images, FileSet):
        held = labelled[_drawn(images.sources, labelled, share, seed)]
    else:
        held = labelled[stratified(images.labels[labelled], share, seed)[0]]
    rest = torch.ones(len(images), dtype=torch.bool).index_fill(0, held, False).nonzero().flatten()
    wanted = f"a share that leaves both training and held-out images, of {len(images)}"
    require(len(held) > 0 and len(rest) > 0, "data.val_split", share, wanted)
    return images.subset(rest), images.subset(held)


def imbalanced(images: ImageSet, ratio: float, seed: int) -> ImageSet:
    """Keeps n ratio^(-k / (K - 1)) images of class k of K, by label, but at least one, drawn with ``seed``.

    n is the largest number for which every class has enough images (in CIFAR-LT of Cui et al., CVPR 2019, it is the
    size of a class). Images without a label are left out. Prints once how many are kept. Raises ``InputError`` if no
    image has a label.
    """
    shuffled = torch.from_numpy(np.random.default_rng(seed).permutation(len(images)))
    classes, counts = images.labels[images.labels >= 0].unique(return_counts=True)
    require(len(classes) > 0, "data.imbalance", ratio, "null, as no training image has a label")
    shares = ratio ** -(torch.arange(len(classes), dtype=torch.float64) / max(1, len(classes) - 1))
    sizes = ((counts / shares).min() * shares).round().long().clamp_min(1)
    labels = images.labels[shuffled]
    kept = [shuffled[labels == label][:size] for label, size in zip(classes, sizes)]
    total = f"{sizes.sum()} of {counts.sum()} training images with a label"
    say_once(f"data.imbalance={ratio:g}: {total}, {sizes.max()} of the largest class, {sizes.min()} of the smallest")
    return images.subset(torch.cat(kept).sort().values)


def halves(images: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Every second labelled image, and the other labelled ones; raises ``InputError`` if there are fewer than two."""
    labelled = (images.labels >= 0).nonzero().flatten()
    wanted = "images of which at least two have labels, as those in data.train_path have none"
    require(len(labelled) > 1, "data.val_path", f"{len(labelled)} with labels", wanted)
    return images.subset(labelled[::2]), images.subset(labelled[1::2])


def _drawn(sources: Index, rows: Tensor, share: float, seed: int) -> Tensor:
    """Which of the images in ``rows`` are among the ``share``, as booleans."""
    salt = seed.to_bytes(8, "little")
    below = int(share * 2**64).to_bytes(8, "big")
    drawn = (blake2b(sources.key(row), digest_size=8, salt=salt).digest() < below for row in rows.tolist())
    return torch.from_numpy(np.fromiter(drawn, bool, len(rows)))


def stratified(labels: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of a share of the images, equal in every class up to one image, and of the rest; both sorted."""
    shuffled = torch.from_numpy(np.random.default_rng(seed).permutation(len(labels)))
    by_class = shuffled[labels[shuffled].argsort(stable=True)]
    # Goes through the images class by class and takes one whenever share * position + 0.5 passes an integer.
    taken = torch.arange(len(labels) + 1, dtype=torch.float64).mul(share).add(0.5).floor().diff() > 0
    return by_class[taken].sort().values, by_class[~taken].sort().values
