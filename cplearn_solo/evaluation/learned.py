"""Whether a run has learned anything, from its labels and from how well it recognises an image by another view."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cplearn_solo.config.schema import Config
from cplearn_solo.data import BatchAugment, ImageSet, sampled, train_loader
from cplearn_solo.data.order import step_generator
from cplearn_solo.metrics.learned import FEWEST, Compared, accuracy, not_learned
from cplearn_solo.metrics.own_view import Measured, own_view_accuracy

IMAGES = 512  # compared at most
OWN_VIEW = "own_view_acc"  # key of a summary
NAMES = {"knn_acc1": "kNN", "linear_acc1": "linear probe"}


@torch.no_grad()
def own_views(backbones: list[nn.Module], images: ImageSet, config: Config, device: torch.device) -> list[Measured]:
    """:func:`own_view_accuracy` of each backbone on two views of at most 512 images, as training makes them; empty for
    fewer than a hundred images.

    BatchNorm uses the statistics of each batch, which has the size used in training: running statistics mean nothing
    before a network has seen images, and networks should differ only in their weights. Running statistics do not
    change.
    """
    size = min(config.optimizer.batch_size, IMAGES, len(images))
    count = min(len(images), IMAGES) // size * size
    if count < FEWEST:
        return []
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(config.seed))
    networks, found = [_by_batch(backbone).to(device) for backbone in backbones], [[] for _ in backbones]
    for pair in _view_pairs(sampled(images, order[:count]), config, size):
        for network, features in zip(networks, found):
            features.append([network(view.to(device)).float().cpu() for view in pair])
    return [own_view_accuracy(*(torch.cat(views) for views in zip(*features))) for features in found]


def learned_nothing(scores: dict[str, Any], labels: int, views: list[Measured]) -> str:
    """Why a run has learned nothing, or an empty string: :func:`not_learned` of the ``scores`` of its summary on
    ``labels`` labelled images, and of ``views`` of the run and of random weights."""
    random, chance = (scores.get(name, {}) for name in ("random_backbone", "chance"))
    labelled = [
        Compared(
            words,
            accuracy(scores[name], labels),
            accuracy(random[name], labels) if name in random else None,
            chance.get(name),
        )
        for name, words in NAMES.items()
        if name in scores and labels >= FEWEST
    ]
    return not_learned(labelled, Compared("recognised views", *views, chance=0.5) if views else None)


def _view_pairs(images: ImageSet, config: Config, size: int) -> Iterator[list[Tensor]]:
    """Batches of the first two views, in crops that no epoch of training has seen; small crops are not made."""
    settings = {"batch_size": size, "num_workers": config.data.num_workers, "seed": config.seed, "colour": False}
    views = config.augmentations[: 1 if config.augmentations[0].num_crops > 1 else 2]
    loader = train_loader(images, views, **settings)
    augment = BatchAugment(views, images.mean, images.std)
    loader.batch_sampler.set_epoch(config.max_epochs)
    for step, (_, batch, _) in enumerate(loader):
        yield augment(batch, step_generator(config.seed, config.max_epochs, step))[:2]


def _by_batch(backbone: nn.Module) -> nn.Module:
    """A copy whose BatchNorm uses the statistics of batches."""
    backbone = copy.deepcopy(backbone).eval()
    for module in backbone.modules():
        if isinstance(module, _BatchNorm):
            module.train()
    return backbone
