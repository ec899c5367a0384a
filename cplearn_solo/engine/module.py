"""The LightningModule that hosts a method: features, teacher, training step and optimizer."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor, nn

from cplearn_solo.config.schema import Config
from cplearn_solo.core.distributed import rank, world_size
from cplearn_solo.core.errors import InputError
from cplearn_solo.data import BatchAugment, ImageSet
from cplearn_solo.data.decoding.samples import Limits
from cplearn_solo.data.notes import say_once
from cplearn_solo.data.order import hash_seed
from cplearn_solo.engine.captured import Capture, CapturedStep, NotCaptured, StepOutput, cuda_graph
from cplearn_solo.engine.captured_training import CapturedTraining
from cplearn_solo.engine.captured_updates import CapturedTeacher
from cplearn_solo.engine.captured_views import CapturedViews
from cplearn_solo.engine.checkpoint import checkpoint_entry
from cplearn_solo.engine.epoch import CodesInUse, FiniteCheck, StepSums, Stopwatch
from cplearn_solo.engine.networks import build_networks
from cplearn_solo.engine.online_probe import OnlineProbe
from cplearn_solo.engine.optim import build_optimizer, build_scheduler, lr_scale
from cplearn_solo.engine.running_scale import RunningScale
from cplearn_solo.engine.sharding import average_gradients, local
from cplearn_solo.methods import Method, Progress, Views, frozen_statistics, pixel_range, teacher_of
from cplearn_solo.methods.parts import checked_parts
from cplearn_solo.methods.queue import Queue

_RECENT = 1024  # features that are kept to measure collapse
_CHECKED_STEPS = 50  # steps between checks of the loss on a GPU, since each check waits for it


class Pretrainer(LightningModule):
    """Trains ``backbone`` under ``method`` with an online linear probe on detached, standardised features.

    All randomness of a step comes from (seed, epoch, batch index, rank), so a resumed run sees what an uninterrupted
    one saw. Averages are kept as plain tensors and logged once an epoch.
    """

    def __init__(
        self,
        config: Config,
        *,
        num_classes: int,
        mean: list[float],
        std: list[float],
        limits: Limits | None = None,
        classes: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.config, self.num_classes, self.mean, self.std = config, num_classes, list(mean), list(std)
        self.limits, self.classes = limits, tuple(classes)
        self.backbone, self.method = build_networks(config)
        self.classifier = nn.Linear(self.backbone.num_features, max(1, num_classes))
        self.features_scale = RunningScale(self.backbone.num_features)
        channels_last = not config.performance.disable_channel_last
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.backbone.to(memory_format=self.memory_format)
        self.teacher = None
        if self.method.teacher:
            online = nn.Sequential(self.backbone, getattr(self.method, self.method.teacher))
            self.teacher = teacher_of(online)
        self._ddp_params_and_buffers_to_ignore = [f"method.{name}" for name in _equal_buffers(self.method)]
        self.augment = BatchAugment(config.augmentations, mean, std)

        # of the current epoch
        self.sums, self.finite, self.clock = StepSums(), FiniteCheck(config.method), Stopwatch()
        self.codes, self.val_codes = CodesInUse(self.method.codes_total), CodesInUse(self.method.codes_total)
        settings = {"num_classes": num_classes, "learns": not config.data.no_labels}
        self.probe = OnlineProbe(self.classifier, self.features_scale, config.knn_eval, **settings)
        self.recent: deque[Tensor] = deque(maxlen=-(-_RECENT // config.optimizer.batch_size))  # of the latest steps

        # optimizer steps: of the run, of an epoch; and the Trainer's count before this epoch and after the last step
        self._total_steps = self._epoch_steps = self._steps_before = self._steps_seen = 0
        self._total_epochs = 0.0  # of the run; not whole if max_steps ends it within an epoch
        self._generator: torch.Generator | None = None  # of views
        self._captured: CapturedTraining | None = None
        self._rates: list[float] = []  # learning rates of the optimizer's groups, before the schedule

    @property
    def steps_done(self) -> int:
        """Optimizer steps of the run, as if all had been made on these devices."""
        return self.current_epoch * self._epoch_steps + self.trainer.global_step - self._steps_before

    def encode(self, images: Tensor) -> Tensor:
        """Features ``(n, d)`` of normalised images ``(n, c, h, w)``."""
        return self.backbone(images.contiguous(memory_format=self.memory_format))

    def views(self, crops: list[Tensor], progress: Progress) -> Views:
        """The method's input from normalised crops, each ``(n, c, h, w)``, large ones first."""
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
        if self._captured is not None and self._captured.teacher is not None:
            self._captured.teacher(1 - tau)
            return
        teacher, online = ([local(p) for p in parameters] for parameters in (self.teacher.parameters(), self._online()))
        torch._foreach_lerp_(teacher, online, 1 - tau)

    def check_weights(self) -> None:
        """Raises :class:`NotFinite` if any weight is not finite."""
        self.check_finite("weights", map(local, self.parameters()))

    def check_finite(self, what: str, values: Iterable[Tensor]) -> None:
        """Raises :class:`NotFinite` if any of ``values``, which are called ``what``, is not finite."""
        self.finite.require(what, values, self.trainer.global_step)

    # ---- training

    def configure_model(self) -> None:
        """Splits the networks over the devices, if the strategy asks for it."""
        if self._sharded:
            networks = [self.backbone] if self.teacher is None else [self.backbone, self.teacher[0]]
            self.trainer.strategy.split(self, networks)

    def on_after_backward(self) -> None:
        if self._sharded:
            average_gradients([*self.method.parameters(), *self.classifier.parameters()])

    def on_train_epoch_start(self) -> None:
        # Lightning itself would only do this for a sampler of single images
        self.trainer.train_dataloader.batch_sampler.set_epoch(self.current_epoch)
        self._steps_before = self._steps_seen = self.trainer.global_step
        self.sums.reset()
        self.recent.clear()
        self.codes.reset(self.device)
        self.finite.reset(self.device)
        self.probe.start_training()
        self.clock.start()

    def training_step(self, batch: list, batch_idx: int) -> Tensor:
        """One step on ``[index, images, labels]``: images are uint8 images or crops, or finished crops in floats."""
        _, images, labels = batch
        try:
            output = self._step(images, labels, batch_idx)
        except NotCaptured as error:
            if self.config.performance.graph is True:
                raise InputError(f"performance.graph = True: must be false here, {error}") from error
            say_once(f"{error}; steps run without a CUDA graph")
            self._capture_nothing()
            output = self._step(images, labels, batch_idx)
        self.recent.append(output.feats)
        self.probe.remember(output.feats, labels)
        self._check_loss(output.parts, self._progress().step)
        self.codes.add(output.codes)
        self.sums.add(output.parts | output.probe)
        return output.loss

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        if self._captured is not None and self._captured.step.replays:
            self._captured.step.set_gradients()
        else:
            super().backward(loss, *args, **kwargs)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.method.after_backward(self._progress())

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.teacher is None or self.trainer.global_step == self._steps_seen:  # gradients still accumulate
            return
        self._steps_seen = self.trainer.global_step
        self.update_teacher(self.steps_done / self._total_steps)

    def on_train_epoch_end(self) -> None:
        seconds = self.clock.seconds()
        steps, totals = self.sums.steps * world_size(), self.sums.over_ranks()
        hits, labelled, probe_sum = (totals.pop(name) for name in ("hits", "labelled", "probe_sum"))
        values = {name: total / steps for name, total in totals.items()}
        if labelled:  # their number differs between steps
            values |= {"acc1": hits / labelled, "probe_loss": probe_sum / labelled}
        else:
            del values["probe_loss"]
        values |= self.codes.counts()
        values |= {"seconds": seconds, "images": steps * self.config.optimizer.batch_size}
        self.log_dict({f"train_{name}": float(value) for name, value in values.items()})

    def on_train_end(self) -> None:
        self._capture_nothing()

    # ---- validation

    def on_validation_epoch_start(self) -> None:
        self.clock.pause()
        self.check_weights()  # before a search for neighbours among features that are not finite
        self.val_codes.reset(self.device)
        self.probe.start_validation(self.device)

    def validation_step(self, batch: list, batch_idx: int) -> None:
        _, images, labels = batch
        feats = self.encode(self.augment.normalise(images))
        self.val_codes.add(self.method.assign(feats))
        self.probe.validate(feats, labels)

    def on_validation_epoch_end(self) -> None:
        if self.probe.asked:  # neighbours are searched among them
            self.check_finite("features of held-out images", (feats for feats, _ in self.probe.asked))
        values = self.probe.accuracies() | self.val_codes.counts()
        self.log_dict({f"val_{name}": value for name, value in values.items()})
        self.clock.go_on()

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
        fused = not self.trainer.gradient_clip_val and not self._sharded
        optimizer = self.build_optimizer(self.trainer.world_size, fused=fused)
        self._rates = [group["lr"] for group in optimizer.param_groups]
        steps = int(self.trainer.estimated_stepping_batches)
        self._total_steps = min(steps, config.max_steps or steps)
        self._total_epochs = (self.trainer.max_epochs or 1) * self._total_steps / steps
        scheduler = build_scheduler(optimizer, config.scheduler, epochs=self._total_epochs, steps=self._total_steps)
        if scheduler is None:
            return optimizer
        return [optimizer], [{"scheduler": scheduler, "interval": config.scheduler.interval}]

    def on_train_start(self) -> None:
        """Sets learning rates: a resumed run has those of its own devices, at its epoch in the schedule."""
        self._epoch_steps = math.ceil(self.trainer.num_training_batches / self.config.accumulate_grad_batches)
        groups, rates = self.trainer.optimizers[0].param_groups, self._rates
        for scheduler in (config.scheduler for config in self.trainer.lr_scheduler_configs):
            by_step = self.config.scheduler.interval == "step"
            scheduler.last_epoch = self.current_epoch * (self._epoch_steps if by_step else 1)
            scheduler.base_lrs = self._rates
            rates = [rate * factor(scheduler.last_epoch) for rate, factor in zip(rates, scheduler.lr_lambdas)]
        for group, rate in zip(groups, rates):
            group["lr"] = rate
        if self._captured is not None:
            self._captured.take(self.trainer.optimizers[0])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what evaluation and a resumed run need to know."""
        statistics = self.num_classes, self.mean, self.std, self.limits, self.classes
        checkpoint |= checkpoint_entry(self.config, *statistics)

    def capture_steps(self, capture: Capture = cuda_graph) -> None:
        """Captures and replays steps from now on, until training ends."""
        teacher = None if self.teacher is None else CapturedTeacher(self.teacher.parameters(), self._online(), capture)
        views = CapturedViews(self.config.augmentations, self.mean, self.std, capture)
        self._captured = CapturedTraining(views, CapturedStep(self._compute, self.parameters, capture), teacher)

    # ---- details

    def _capture_nothing(self) -> None:
        """Runs steps without graphs from now on, and frees the graphs' memory."""
        if self._captured is not None:
            self._captured.release()
        self._captured = None

    def _step(self, images: Any, labels: Tensor, batch_idx: int) -> StepOutput:
        """Views, networks, loss and online probe of one step, with its own random numbers."""
        generator = self._seeded(batch_idx)
        augment, compute = self.augment, self._compute
        if self._captured is not None:
            augment, compute = self._captured.views, self._captured.step
        crops = images if images[0].is_floating_point() else augment(images, generator)
        self.method.before_step(self._progress())
        return compute(crops, labels)

    def _compute(self, crops: list[Tensor], labels: Tensor) -> StepOutput:
        """Networks, loss and online probe."""
        views = self.views(crops, self._progress())
        parts = checked_parts(self.config.method, self.method.loss(views))
        codes = parts.pop("codes", None)
        probe = self.probe.train(views.feats[: views.n_large], labels)
        return StepOutput(parts["loss"] + probe["probe_loss"], views.feats[0].detach(), parts, probe, codes)

    def _online(self) -> list[nn.Parameter]:
        """The parameters that the teacher's are moved towards."""
        return [*self.backbone.parameters(), *getattr(self.method, self.method.teacher).parameters()]

    @property
    def _sharded(self) -> bool:
        """Whether networks are sharded over processes; the strategy has then set the mesh of devices."""
        return self._device_mesh is not None

    def _progress(self) -> Progress:
        return Progress(self.current_epoch, self._total_epochs, self.steps_done, self._total_steps)

    def _seeded(self, batch_idx: int) -> torch.Generator:
        """The generator of this step's views; the global ones, of methods and dropout, get the same seed.

        For a GPU only its own and the CPU's are seeded: ``torch.manual_seed`` would go through all devices each step.
        """
        seed = hash_seed(self.config.seed, self.current_epoch, batch_idx, rank())
        if self.device.type == "cuda":
            torch.default_generator.manual_seed(seed)
            torch.cuda.manual_seed(seed)
        else:
            torch.manual_seed(seed)
        if self._generator is None or self._generator.device != self.device:
            self._generator = torch.Generator(self.device)
        return self._generator.manual_seed(seed)

    def _check_loss(self, parts: dict[str, Tensor], step: int) -> None:
        report = self.device.type == "cpu" or self.trainer.is_last_batch or step % _CHECKED_STEPS == 0
        self.finite.look(parts, step, report=report)

    def _encode_crops(self, crops: list[Tensor]) -> list[Tensor]:
        """Features of each crop; crops of one size share a call if the backbone keeps no statistics of batches."""
        if next(self.backbone.buffers(), None) is not None:
            return [self.encode(x) for x in crops]
        sizes = [list(same) for _, same in groupby(crops, key=lambda x: x.shape)]
        return [feats for same in sizes for feats in self.encode(torch.cat(same)).chunk(len(same))]

    @torch.no_grad()
    def _teach(self, crops: list[Tensor]) -> list[Tensor] | None:
        if self.teacher is None:
            return None
        return [self.teacher(x.contiguous(memory_format=self.memory_format)) for x in crops]

    def _frozen_encode(self, images: Tensor) -> Tensor:
        """Features for gradients in pixel space: BatchNorm uses its running statistics and does not change them."""
        with frozen_statistics(self.backbone):
            return self.encode(images)


def _equal_buffers(method: Method) -> list[str]:
    """Buffers that are equal in all processes by themselves, so that DDP need not send them with every step: constants
    that each process makes, such as the dictionary, and queues, which take the embeddings of all processes."""
    saved = method.state_dict()
    constants = [name for name, _ in method.named_buffers() if name not in saved]
    queues = [name for name, module in method.named_modules() if isinstance(module, Queue)]
    return constants + [f"{name}.rows" for name in queues]


def image_statistics(images: ImageSet) -> dict[str, Any]:
    """What a :class:`Pretrainer` must know of its training images."""
    normalisation = {"mean": list(images.mean), "std": list(images.std)}
    names = {"num_classes": images.num_classes, "classes": images.classes}
    return {**names, **normalisation, "limits": images.limits}
