"""The LightningModule that hosts a method: features, teacher, online probe and epoch averages."""

from __future__ import annotations

import copy
import math
import time
from collections import deque
from itertools import groupby
from typing import Any

import lightning
import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F

from cplearn_solo.backbones import build_backbone
from cplearn_solo.config.schema import Config
from cplearn_solo.core.distributed import rank, sum_ranks, world_size
from cplearn_solo.data import BatchAugment, ImageSet, step_generator
from cplearn_solo.engine.optim import build_optimizer, build_scheduler, lr_scale
from cplearn_solo.methods import Progress, Views, build_method, frozen_statistics, pixel_range
from cplearn_solo.metrics import knn_accuracy

CHECKPOINT_KEY = "cplearn_solo"

_RECENT = 1024  # features that are kept for a look at collapse


class NotFinite(Exception):
    """Training has produced infinite numbers or none at all."""


class Pretrainer(LightningModule):
    """Trains ``backbone`` under ``method`` with an online linear probe on detached features.

    All randomness of a step comes from (seed, epoch, batch index, rank), so a resumed run sees what an uninterrupted
    one saw. Averages are kept as plain tensors and logged once an epoch.
    """

    def __init__(self, config: Config, *, num_classes: int, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.config, self.num_classes, self.mean, self.std = config, num_classes, list(mean), list(std)
        first, *others = (augmentation.crop_size for augmentation in config.augmentations)
        self.backbone = build_backbone(
            config.backbone.name, crop_size=first, other_sizes=others, **config.backbone.kwargs
        )
        self.method = build_method(
            config.method,
            self.backbone.num_features,
            batch_size=config.optimizer.batch_size,
            method_kwargs=config.method_kwargs,
        )
        self.classifier = nn.Linear(self.backbone.num_features, max(1, num_classes))
        channels_last = not config.performance.disable_channel_last
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.backbone.to(memory_format=self.memory_format)
        self.teacher = None
        if self.method.teacher:
            online = nn.Sequential(self.backbone, getattr(self.method, self.method.teacher))
            self.teacher = copy.deepcopy(online).requires_grad_(False)
        # constants, such as the dictionary, that each process makes itself: not sent with every step
        saved = self.method.state_dict()
        constants = [name for name, _ in self.method.named_buffers() if name not in saved]
        self._ddp_params_and_buffers_to_ignore = [f"method.{name}" for name in constants]
        self.augment = BatchAugment(config.augmentations, mean, std)
        self.recent: deque[Tensor] = deque(maxlen=-(-_RECENT // config.optimizer.batch_size))  # of the latest steps
        self._knn_bank: list[tuple[Tensor, Tensor]] = []
        self._started = 0.0

    def encode(self, images: Tensor) -> Tensor:
        """Features ``(n, d)`` of normalised images ``(n, 3, h, w)``."""
        return self.backbone(images.contiguous(memory_format=self.memory_format))

    def views(self, crops: list[Tensor], progress: Progress) -> Views:
        """What the method sees of normalised crops, each ``(n, 3, h, w)``, large ones first."""
        n_large = self.config.n_large
        return Views(
            feats=self._encode_crops(crops),
            n_large=n_large,
            progress=progress,
            teacher=self._teach(crops[:n_large]),
            images=crops if self.method.needs_images else None,
            pixel_range=pixel_range(self.mean, self.std, device=self.device) if self.method.needs_images else None,
            encode=self._frozen_encode if self.method.needs_images else None,
        )

    @torch.no_grad()
    def update_teacher(self, done: float) -> None:
        """Moves the teacher towards the online network; ``done`` is the share of the run that has passed."""
        base, final = self.config.momentum.base_tau, self.config.momentum.final_tau
        tau = final - (final - base) * (math.cos(math.pi * done) + 1) / 2
        online = [*self.backbone.parameters(), *getattr(self.method, self.method.teacher).parameters()]
        torch._foreach_lerp_(list(self.teacher.parameters()), online, 1 - tau)

    def check_weights(self) -> None:
        """Raises :class:`NotFinite` for weights that are not."""
        if not all(p.isfinite().all() for p in self.parameters()):
            raise NotFinite(
                f"method {self.config.method!r}: the weights are not finite after step {self.trainer.global_step}"
            )

    # ---- training

    def on_train_epoch_start(self) -> None:
        # Lightning itself looks for a sampler of single images
        self.trainer.train_dataloader.batch_sampler.set_epoch(self.current_epoch)
        self._sums: dict[str, Tensor] = {}
        self._codes_used = self._no_codes()
        self._labelled = torch.zeros((), device=self.device)
        self._knn_bank.clear()
        self._batches = 0
        self._steps_before = self._steps_seen = self.trainer.global_step
        self._first_bad = torch.full((), -1, device=self.device)
        self._started = time.perf_counter()

    def training_step(self, batch: list, batch_idx: int) -> Tensor:
        """One step on ``[index, uint8 images or crops, labels]``."""
        _, images, labels = batch
        self._batches += 1
        generator = step_generator(self.config.seed, self.current_epoch, batch_idx, rank(), device=self.device)
        torch.manual_seed(generator.initial_seed())  # for what methods and dropout draw
        crops = images if isinstance(images, list) else self.augment(images, generator)
        progress = self._progress()
        self.method.before_step(progress)
        views = self.views(crops, progress)
        self.recent.append(views.feats[0].detach())
        parts = self.method.loss(views)
        self._check_finite(parts, progress)
        probe_loss = self._probe(views.feats[: views.n_large], labels)
        if (codes := parts.pop("codes", None)) is not None:
            self._codes_used[codes] = True
        for name, value in parts.items():
            self._add(name, value.detach())
        return parts["loss"] + probe_loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.method.after_backward(self._progress())

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.teacher is None or self.trainer.global_step == self._steps_seen:  # gradients still accumulate
            return
        self._steps_seen = self.trainer.global_step
        self.update_teacher(self._steps_done / self._total_steps)

    def on_train_epoch_end(self) -> None:
        names = sorted(self._sums)
        seconds = time.perf_counter() - self._started
        totals = sum_ranks(torch.stack([*(self._sums[name].float() for name in names), self._labelled]))
        steps = self._batches * world_size()
        values = {name: total / steps for name, total in zip(names, totals.tolist())}
        if labelled := totals[-1].item():
            values["acc1"] = values.pop("hits") * steps / labelled
        else:
            values.pop("hits", None), values.pop("probe_loss", None)
        if len(self._codes_used):
            values["codes_used"] = (sum_ranks(self._codes_used.int()) > 0).sum().item()
        values["seconds"] = seconds
        values["images"] = steps * self.config.optimizer.batch_size
        self.log_dict({f"train_{name}": float(value) for name, value in values.items()})

    # ---- validation

    def on_validation_epoch_start(self) -> None:
        self._validation_started = time.perf_counter()
        self._hits = torch.zeros(2, dtype=torch.float64, device="cpu")
        self._val_codes = self._no_codes()
        self._val_feats: list[tuple[Tensor, Tensor]] = []

    def validation_step(self, batch: list, batch_idx: int) -> None:
        _, images, labels = batch
        feats = self.encode(images)
        hits = (self.classifier(feats.float()).argmax(dim=1) == labels) & (labels >= 0)
        self._hits += torch.stack([hits.sum(), (labels >= 0).sum()]).cpu()
        if (codes := self.method.assign(feats)) is not None:
            self._val_codes[codes] = True
        if self.config.knn_eval.enabled:
            self._val_feats.append((feats.float(), labels))

    def on_validation_epoch_end(self) -> None:
        hits, labelled = sum_ranks(self._hits.to(self.device, torch.float32)).tolist()
        values: dict[str, float] = {}
        if labelled:
            values["val_acc1"] = hits / labelled
        if len(self._val_codes):
            values["val_codes_used"] = float((sum_ranks(self._val_codes.int()) > 0).sum())
        if self._knn_bank and self._val_feats:
            values["val_knn_acc1"] = self._online_knn()
        self.log_dict(values)
        self._started += time.perf_counter() - self._validation_started  # not counted as training

    # ---- optimizers, checkpoints

    def build_optimizer(self, num_devices: int, *, fused: bool = True) -> torch.optim.Optimizer:
        """The optimizer with learning rates scaled for ``num_devices``."""
        config, scale = self.config.optimizer, lr_scale(self.config, num_devices)
        probe = {"lr": config.classifier_lr * scale, "weight_decay": 0.0}
        groups = [
            {"params": list(self.backbone.parameters())},
            *self.method.param_groups(),
            {"params": list(self.classifier.parameters()), **probe},
        ]
        return build_optimizer(groups, config, lr=config.lr * scale, fused=fused)

    def configure_optimizers(self) -> Any:
        config = self.config
        optimizer = self.build_optimizer(self.trainer.world_size, fused=not self.trainer.gradient_clip_val)
        self._rates = [group["lr"] for group in optimizer.param_groups]
        self._total_steps = int(self.trainer.estimated_stepping_batches)
        scheduler = build_scheduler(optimizer, config.scheduler, epochs=config.max_epochs, steps=self._total_steps)
        if scheduler is None:
            return optimizer
        return [optimizer], [{"scheduler": scheduler, "interval": config.scheduler.interval}]

    def on_train_start(self) -> None:
        """A resumed run has the rates of its own devices, at its epoch's place in the schedule."""
        self._epoch_steps = math.ceil(self.trainer.num_training_batches / self.config.accumulate_grad_batches)
        groups, rates = self.trainer.optimizers[0].param_groups, self._rates
        for scheduler in (config.scheduler for config in self.trainer.lr_scheduler_configs):
            by_step = self.config.scheduler.interval == "step"
            scheduler.last_epoch = self.current_epoch * (self._epoch_steps if by_step else 1)
            scheduler.base_lrs = self._rates
            rates = [rate * factor(scheduler.last_epoch) for rate, factor in zip(rates, scheduler.lr_lambdas)]
        for group, rate in zip(groups, rates):
            group["lr"] = rate

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what evaluation needs, in plain types, so that ``weights_only`` loading works."""
        checkpoint |= checkpoint_entry(self.config, self.num_classes, self.mean, self.std)

    # ---- details

    @property
    def _steps_done(self) -> int:
        """Optimizer steps, as if all had been made on these devices."""
        return self.current_epoch * self._epoch_steps + self.trainer.global_step - self._steps_before

    def _progress(self) -> Progress:
        return Progress(self.current_epoch, self.config.max_epochs, self._steps_done, self._total_steps)

    def _check_finite(self, parts: dict[str, Tensor], progress: Progress) -> None:
        """Raises :class:`NotFinite` at the first part of the loss that is not; GPUs are asked now and then only."""
        # the sum last: what made it so is the better word
        parts = dict(sorted(((k, v) for k, v in parts.items() if v.ndim == 0), key=lambda item: item[0] == "loss"))
        bad = ~torch.stack([value.detach().float() for value in parts.values()]).isfinite()
        self._first_bad = torch.where((self._first_bad < 0) & bad, progress.step, self._first_bad)
        last = self.trainer.is_last_batch
        if self.device.type == "cpu" or last or progress.step % 50 == 0:  # asking makes the program wait for the GPU
            for name, step in zip(parts, self._first_bad.tolist()):
                if step >= 0:
                    value = f" is {parts[name].item()}" if step == progress.step else " was not finite"
                    raise NotFinite(f"method {self.config.method!r}, step {step}: part {name!r} of the loss{value}")

    def _no_codes(self) -> Tensor:
        return torch.zeros(self.method.codes_total or 0, dtype=torch.bool, device=self.device)

    def _add(self, name: str, value: Tensor) -> None:
        self._sums[name] = self._sums[name] + value if name in self._sums else value

    def _encode_crops(self, crops: list[Tensor]) -> list[Tensor]:
        """Features of each; crops of one size in one call where the backbone keeps no statistics of its batches."""
        if next(self.backbone.buffers(), None) is not None:
            return [self.encode(x) for x in crops]
        sizes = [list(same) for _, same in groupby(crops, key=lambda x: x.shape)]
        return [feats for same in sizes for feats in self.encode(torch.cat(same)).chunk(len(same))]

    @torch.no_grad()
    def _teach(self, crops: list[Tensor]) -> list[Tensor] | None:
        if self.teacher is None:
            return None
        return [self.teacher(x.contiguous(memory_format=self.memory_format)) for x in crops]

    def _probe(self, feats: list[Tensor], labels: Tensor) -> Tensor:
        """Cross-entropy of the online probe on detached features of the large crops; unlabelled images do not count."""
        logits = self.classifier(torch.cat(feats).detach().float())
        labels = labels.repeat(len(feats))
        known = labels >= 0
        loss = F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum") / known.sum().clamp(min=1)
        self._add("probe_loss", loss.detach())
        self._add("hits", ((logits.argmax(dim=1) == labels) & known).sum())
        self._labelled += known.sum()
        if self.config.knn_eval.enabled:
            self._knn_bank.append((feats[0].detach().float(), labels[: len(feats[0])]))
        return loss

    def _online_knn(self) -> float:
        train_x, train_y = (torch.cat(part) for part in zip(*self._knn_bank))
        test_x, test_y = (torch.cat(part) for part in zip(*self._val_feats))
        known, asked = train_y >= 0, test_y >= 0
        accuracy = knn_accuracy(
            train_x[known], train_y[known], test_x[asked], test_y[asked],
            k=self.config.knn_eval.k, num_classes=self.num_classes,
        )  # fmt: skip
        return (sum_ranks(torch.tensor(accuracy, device=self.device)) / world_size()).item()

    def _frozen_encode(self, images: Tensor) -> Tensor:
        """Features for gradients in pixel space: BatchNorm statistics are neither used up nor changed."""
        with frozen_statistics(self.backbone):
            return self.encode(images)


def checkpoint_entry(config: Config, num_classes: int, mean: list[float], std: list[float]) -> dict[str, Any]:
    """The part of a checkpoint that says how to read the rest."""
    return {
        CHECKPOINT_KEY: {
            "config": config.plain(),
            "num_classes": num_classes,
            "mean": mean,
            "std": std,
            "versions": {"torch": str(torch.__version__), "lightning": lightning.__version__},
        }
    }


def image_statistics(images: ImageSet) -> dict[str, Any]:
    """What a :class:`Pretrainer` must know of its training images."""
    return {"num_classes": images.num_classes, "mean": list(images.mean), "std": list(images.std)}
