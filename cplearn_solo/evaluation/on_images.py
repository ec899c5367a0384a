"""A linear classifier trained on random crops of images, on top of a frozen backbone or together with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cplearn_solo.config.evaluation import ProbeOptimizer
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.surroundings import forked_generators
from cplearn_solo.data import Augmentation, BatchAugment, ImageSet, step_generator, train_loader
from cplearn_solo.data.schema import Prob


def train_on_images(
    backbone: nn.Module,
    images: ImageSet,
    *,
    features_dim: int,
    crop_size: int,
    epochs: int,
    optimizer: ProbeOptimizer,
    finetune: bool,
    num_workers: int,
    seed: int,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
) -> nn.Linear:
    """A classifier trained on the features ``(n, features_dim)`` of ``images``; images without a label are left out.

    As DINO and solo-learn evaluate: each epoch sees a new random resized crop of each image (0.08 to 1 of its area),
    flipped half of the time, and learning rates fall along half a cosine, once per epoch. With ``finetune`` the
    backbone is trained too, in training mode and in place, at ``optimizer.backbone_lr``; else it is frozen, in
    evaluation mode.

    One batch at a time is in memory, and nothing is written. ``progress`` is called with (epochs done, epochs in all).
    Raises ``InputError`` if training diverges.
    """
    known = (images.labels >= 0).nonzero().flatten()
    images = images if len(known) == len(images) else images.subset(known)
    classifier = nn.Linear(features_dim, images.num_classes).to(device)
    for parameter in classifier.parameters():
        nn.init.zeros_(parameter)
    backbone.train(finetune).requires_grad_(finetune)
    solver = _solver(optimizer, classifier, backbone if finetune else None)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(solver, epochs)
    batches = _Batches(images, crop_size, min(optimizer.batch_size, len(images)), num_workers, seed, device)
    with forked_generators(), torch.enable_grad():
        torch.manual_seed(seed)  # for dropout in a backbone that is trained
        for epoch in range(epochs):
            for views, labels in batches(epoch):
                with torch.set_grad_enabled(finetune):
                    feats = backbone(views)
                solver.zero_grad()
                F.cross_entropy(classifier(feats), labels, ignore_index=-1).backward()
                solver.step()
            schedule.step()
            if progress:
                progress(epoch + 1, epochs)
    if not all(p.isfinite().all() for p in (*classifier.parameters(), *backbone.parameters())):
        raise InputError(f"optimizer.lr = {optimizer.lr}: must be smaller, training diverged")
    backbone.eval().requires_grad_(False)
    return classifier.requires_grad_(False)


def _solver(given: ProbeOptimizer, classifier: nn.Module, backbone: nn.Module | None) -> torch.optim.Optimizer:
    groups = [{"params": list(classifier.parameters()), "lr": given.lr}]
    if backbone is not None:
        lr = given.lr if given.backbone_lr is None else given.backbone_lr
        groups.append({"params": list(backbone.parameters()), "lr": lr})
    if given.name == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, weight_decay=given.weight_decay)
    return torch.optim.Adam(groups, weight_decay=given.weight_decay)


class _Batches:
    """Normalised crops ``(n, c, S, S)`` and labels ``(n,)`` on ``device``, a function of seed and epoch only."""

    def __init__(
        self, images: ImageSet, crop_size: int, batch_size: int, num_workers: int, seed: int, device: torch.device
    ) -> None:
        view = Augmentation(crop_size=crop_size, horizontal_flip=Prob(0.5))
        settings = {"batch_size": batch_size, "num_workers": num_workers, "device": device}
        self.loader = train_loader(images, [view], seed=seed, **settings)
        self.augment = BatchAugment([view], images.mean, images.std)
        self.seed, self.device = seed, device

    def __call__(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        self.loader.batch_sampler.set_epoch(epoch)
        for step, (_, batch, labels) in enumerate(self.loader):
            if isinstance(batch, list):  # images of files, augmented by the workers
                (views,) = batch
            else:
                generator = step_generator(self.seed, epoch, step, device=self.device)
                (views,) = self.augment(batch.to(self.device), generator)
            yield views.to(self.device), labels.to(self.device)
