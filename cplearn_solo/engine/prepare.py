"""What a training needs apart from its run folder: data, module, Trainer and loaders, all checked."""

from __future__ import annotations

import math
import os
import shutil
from typing import Any, NamedTuple

import torch
from lightning import LightningDataModule, Trainer, seed_everything

from cplearn_solo.config.schema import Config
from cplearn_solo.core.distributed import rank, world_size
from cplearn_solo.core.errors import InputError, require
from cplearn_solo.data import Splits, eval_loader, load_splits, tell_lost_classes, train_loader
from cplearn_solo.data.inspect import in_short
from cplearn_solo.data.memory_loader import MemoryEvalLoader, MemoryLoader
from cplearn_solo.data.notes import say_once
from cplearn_solo.engine.allocator import keep_freed_memory
from cplearn_solo.engine.batches import check_batches, limited
from cplearn_solo.engine.captured import captures
from cplearn_solo.engine.devices import check_cores, check_device
from cplearn_solo.engine.module import Pretrainer, image_statistics
from cplearn_solo.engine.networks import check_scored_size
from cplearn_solo.engine.trainer import build_trainer
from cplearn_solo.engine.weights import start_from_weights
from cplearn_solo.methods.build import method_keys_named


class Prepared(NamedTuple):
    """Everything that a training needs except its run folder."""

    trainer: Trainer
    module: Pretrainer
    splits: Splits
    loaders: Loaders


def prepared(config: Config) -> Prepared:
    """Everything but the run folder. Raises ``InputError`` for invalid input."""
    keep_freed_memory()
    seed_everything(config.seed, verbose=False)
    trainer = build_trainer(config)
    check_cores(trainer)
    splits = training_splits(config)
    say_once(in_short(splits.train, splits.test))
    if splits.test is not None:
        tell_lost_classes(splits.train, splits.test)
    module = Pretrainer(config, **image_statistics(splits.train))
    start_from_weights(module)
    for images in filter(None, (splits.train, splits.test)):
        check_scored_size(module.backbone, config, images)
    with method_keys_named(config.method):
        module.method.check_ranks(trainer.world_size)
    check_device(config, module.method, trainer.strategy.root_device)
    module.build_optimizer(trainer.world_size)
    if captures(config, module.method, trainer):
        module.capture_steps()
    if config.performance.compile:
        _compile(module)
    if splits.test is None:
        wanted = "false where no images are held out; data.val_path or data.val_split names some"
        require(not config.knn_eval.enabled, "knn_eval.enabled", True, wanted)
        trainer.limit_val_batches = 0
    loaders = Loaders(splits, config)
    check_batches(trainer, loaders)
    if config.max_steps:
        # everything that counts epochs must know which one is the last
        epochs = -(-config.max_steps // steps_of_epoch(config, trainer, loaders))
        trainer.fit_loop.max_epochs = min(trainer.max_epochs or epochs, epochs)
    return Prepared(trainer, module, splits, loaders)


def training_splits(config: Config) -> Splits:
    """The images that a run with this configuration learns from and is scored on."""
    first = config.augmentations[0]
    return load_splits(config.data, seed=config.seed, mean=first.mean, std=first.std)


def steps_of_epoch(config: Config, trainer: Trainer, loaders: Loaders) -> int:
    """Optimizer steps of an epoch; ``InputError`` if there is not one."""
    batches = limited(loaders.batches(trainer.world_size), trainer.limit_train_batches)
    return math.ceil(batches / config.accumulate_grad_batches)


class Loaders(LightningDataModule):
    """Loaders of a run, made in each process once it knows its rank."""

    def __init__(self, splits: Splits, config: Config) -> None:
        super().__init__()
        self.splits, self.config = splits, config

    def train_dataloader(self) -> Any:
        colour = self.trainer.strategy.root_device.type == "cpu"  # then workers apply colour, in parallel
        return self._on_device(self._train(rank=rank(), world=world_size(), colour=colour))

    def val_dataloader(self) -> Any:
        return self._on_device(self._val(rank=rank(), world=world_size()))

    def batches(self, world: int) -> int:
        """Batches that each of ``world`` processes trains on in an epoch; ``InputError`` if there is not one."""
        return len(self._train(rank=0, world=world))

    def val_batches(self, world: int, rank: int = 0) -> int:
        """Batches of a validation in the process ``rank`` of ``world``; the first has the most of them."""
        return len(self._val(rank=rank, world=world))

    def _on_device(self, loader: Any) -> Any:
        """Moves images in memory to a GPU that has room for them, so that steps do not wait for copies."""
        device = self.trainer.strategy.root_device
        in_memory = isinstance(loader, (MemoryLoader, MemoryEvalLoader))
        if device.type == "cuda" and in_memory and 8 * loader.num_bytes < torch.cuda.mem_get_info(device)[0]:
            loader.to(device)
        return loader

    def _train(self, **place: Any) -> Any:
        return train_loader(
            self.splits.train, self.config.augmentations, seed=self.config.seed, **place, **self._common()
        )

    def _val(self, **place: Any) -> Any:
        crop_size = self.config.augmentations[0].crop_size
        return eval_loader(self.splits.test, crop_size=crop_size, **place, **self._common())

    def _common(self) -> dict[str, Any]:
        return {
            "batch_size": self.config.optimizer.batch_size,
            "num_workers": self.config.data.num_workers,
            "processes": self.trainer.num_devices if self.trainer else 1,
            "device": self.trainer.strategy.root_device if self.trainer else "cpu",
        }


def _compile(module: Pretrainer) -> None:
    """Compiles backbone and teacher by ``torch.compile``, in place, so that checkpoints keep their names."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise InputError(f"performance.compile = True: no compiler {compiler!r} was found; install it or set CXX")
    for network in (module.backbone, module.teacher):
        if network is not None:
            network.compile()
