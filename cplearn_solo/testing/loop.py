"""A method to check, and a plain training loop for it on digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cplearn_solo.config.read import parse_config
from cplearn_solo.config.schema import Config
from cplearn_solo.core.distributed import sum_ranks, world_size
from cplearn_solo.data import DataConfig, load_splits
from cplearn_solo.engine.module import Pretrainer, image_statistics
from cplearn_solo.methods import Progress

AUGMENTATION = {
    "rrc": {"enabled": True, "crop_min_scale": 0.6},
    "color_jitter": {"prob": 0.8, "brightness": 0.4, "contrast": 0.4, "saturation": 0.0, "hue": 0.0},
}
LARGEST = 8  # pixels of a crop
STEPS = 60  # of the training in which the loss has to fall


@dataclass(frozen=True)
class Case:
    """A method to check, its keywords, the batch of one process, and the crops of each size, the largest first."""

    name: str
    method_kwargs: dict[str, Any]
    batch_size: int
    num_crops: tuple[int, ...] = (2,)

    def config(self, batch_size: int) -> Config:
        return parse_config(
            {
                "method": self.name,
                "method_kwargs": self.method_kwargs,
                "backbone": {"name": "resnet8", "kwargs": {"width": 8}},
                "momentum": {"base_tau": 0.9},
                "augmentations": [
                    {**AUGMENTATION, "crop_size": LARGEST - 2 * i, "num_crops": count}
                    for i, count in enumerate(self.num_crops)
                ],
                "optimizer": {"batch_size": batch_size},
            }
        )


class TrainingLoop:
    """A plain training loop around the engine's module; everything in it is a function of the case and the step."""

    def __init__(self, case: Case, batch_size: int | None = None, *, seed: int = 0) -> None:
        config = case.config(batch_size or case.batch_size)
        images = load_splits(DataConfig(), seed=0).train
        torch.manual_seed(seed)
        self.module = Pretrainer(config, **image_statistics(images)).train()
        self.method, self.images = self.module.method, images.images
        self.progress = Progress(epoch=0, epochs=STEPS, step=0, steps=STEPS)
        self.parameters = [*self.module.backbone.parameters(), *self.method.parameters()]
        self.optimizer = torch.optim.Adam([p for p in self.parameters if p.requires_grad], lr=2e-3)

    def double(self) -> TrainingLoop:
        self.module.double()
        return self

    def crops(self, step: int, size: int) -> list[Tensor]:
        """Views of ``size`` digits."""
        generator = torch.Generator().manual_seed(step)
        chosen = torch.randperm(len(self.images), generator=generator)[:size]
        dtype = self.parameters[0].dtype
        return [view.to(dtype) for view in self.module.augment(self.images[chosen], generator)]

    def forward(self, step: int, crops: list[Tensor]) -> dict[str, Tensor]:
        """The parts of the loss; random draws of the method depend on the step only."""
        torch.manual_seed(step)
        self.progress = Progress(epoch=step, epochs=STEPS, step=step, steps=STEPS)
        self.method.before_step(self.progress)
        return self.method.loss(self.module.views(crops, self.progress))

    def backward(self, loss: Tensor) -> list[Tensor]:
        """Gradients, averaged over processes as in data-parallel training."""
        self.optimizer.zero_grad()
        loss.backward()
        for p in self.parameters:
            if p.grad is not None:
                p.grad = sum_ranks(p.grad) / world_size()
        return [None if p.grad is None else p.grad.clone() for p in self.parameters]

    def update(self) -> None:
        self.method.after_backward(self.progress)
        self.optimizer.step()
        if self.module.teacher is not None:
            self.module.update_teacher((self.progress.step + 1) / STEPS)

    def train(self, step: int) -> float:
        parts = self.forward(step, self.crops(step, self.module.config.optimizer.batch_size))
        self.backward(parts["loss"])
        self.update()
        return parts["loss"].item()

    def names(self) -> list[str]:
        named = [*self.module.backbone.named_parameters("backbone"), *self.method.named_parameters("method")]
        return [name for name, _ in named]
