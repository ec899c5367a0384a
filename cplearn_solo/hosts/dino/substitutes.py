"""Replacements of names in DINO's ``main_dino.py`` and ``utils.py``, and the run that they make."""

from __future__ import annotations

import argparse
import inspect
import math
import pickle
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from cplearn_solo.core.errors import InputError, require
from cplearn_solo.hosts.dino.cpu import stay_on_cpu
from cplearn_solo.hosts.dino.images import PatientImageFolder
from cplearn_solo.hosts.dino.networks import Head, NoTeacher, StudentsLoss
from cplearn_solo.hosts.dino.script import IN_SCRIPT, IN_UTILS
from cplearn_solo.methods import Progress

WITHOUT_MEANING = (
    "out_dim, norm_last_layer, use_bn_in_head, freeze_last_layer, momentum_teacher, warmup_teacher_temp, teacher_temp "
    "and warmup_teacher_temp_epochs"
)


def install(main: ModuleType, method: str, method_kwargs: Mapping[str, Any], device: str) -> None:
    """Makes ``main``, DINO's main script as a module, train ``method``; ``device`` is ``cuda`` or ``cpu``."""
    torch.hub.list = lambda *_, **__: []  # DINO asks GitHub for names of architectures
    if device == "cpu":
        stay_on_cpu(main.utils)
    else:
        require(torch.cuda.is_available(), "--device", device, "cpu, for a smoke run: no GPU was found here")
    Substitutes(main, method, method_kwargs, device)


class Substitutes:
    """A run of DINO's script with a method of ours: attributes with names of DINO's replace DINO's."""

    def __init__(self, main: ModuleType, method: str, method_kwargs: Mapping[str, Any], device: str) -> None:
        self.main, self.method, self.method_kwargs, self.device = main, method, dict(method_kwargs), device
        self.student: nn.Module | None = None
        utils = vars(main.utils)
        self.theirs = SimpleNamespace(**{name: (vars(main) | utils)[name] for name in (*IN_SCRIPT, *IN_UTILS)})
        vars(main).update({name: getattr(self, name) for name in IN_SCRIPT})
        # for the script only: inside these modules, their own names stay as they are
        main.utils = SimpleNamespace(**utils | {name: getattr(self, name) for name in IN_UTILS})
        main.datasets = SimpleNamespace(**vars(main.datasets) | {"ImageFolder": PatientImageFolder})

    def train_dino(self, args: argparse.Namespace) -> None:
        check_arguments(self.main, args)
        args.method, args.method_kwargs, args.device = self.method, self.method_kwargs, self.device
        if self.device == "cpu" and args.use_fp16:
            print("--use_fp16 false: DINO's half precision is for GPUs")
            args.use_fp16 = False
        self.args = args
        self.theirs.train_dino(args)

    def fix_random_seeds(self, seed: int) -> None:
        random.seed(seed)  # DINO blurs and solarises with Python's generator, but seeds only the others
        self.theirs.fix_random_seeds(seed)

    def DINOHead(self, features_dim: int, *_: Any, **__: Any) -> int:
        return features_dim

    def MultiCropWrapper(self, backbone: nn.Module, features_dim: int) -> nn.Module:
        """DINO makes the student first; its second network would be the teacher."""
        if self.student is not None:
            return NoTeacher(self.student)
        n = self.args.batch_size_per_gpu
        self.head = Head(self.method, features_dim, n=n, method_kwargs=self.method_kwargs)
        student = self.theirs.MultiCropWrapper(backbone, self.head)
        self.student = student if self.device == "cpu" else nn.SyncBatchNorm.convert_sync_batchnorm(student)
        print("\n".join(f"{key}: {value}" for key, value in self.head.settings.items()))
        print(f"n = {n} is the batch of one crop on one device. There is no teacher: {WITHOUT_MEANING} do nothing.")
        return self.student

    def has_batchnorms(self, model: nn.Module) -> bool:
        return False  # they are already synchronised, and there is no teacher to wrap

    def DINOLoss(self, *_: Any) -> nn.Module:
        return StudentsLoss()

    def train_one_epoch(self, *arguments: Any) -> dict[str, float]:
        """DINO's epoch; adds the parts of the loss to what it logs."""
        named = inspect.signature(self.theirs.train_one_epoch).bind(*arguments).arguments
        epoch, epochs, loader = named["epoch"], self.args.epochs, named["data_loader"]
        steps = len(loader)
        wanted = f"a folder of at least {self.head.n} images, which make a batch"
        require(steps > 0, "--data_path", self.args.data_path, wanted)
        self.head.progress = Progress(epoch, epochs, epoch * steps, epochs * steps)
        logged = {**self.theirs.train_one_epoch(*arguments), **self.head.parts()}
        if skipped := loader.dataset.skipped():
            print(f"{skipped}; others took their place")
        return logged

    def cancel_gradients_last_layer(self, *_: Any) -> None:
        """DINO calls this between backward pass and optimizer step."""
        self.head.method.after_backward(self.head.progress)
        self.head.progress = replace(self.head.progress, step=self.head.progress.step + 1)

    def save_on_master(self, checkpoint: dict[str, Any], path: str) -> None:
        self.theirs.save_on_master(plain(checkpoint), path)

    def restart_from_checkpoint(self, path: str, **objects: Any) -> None:
        try:
            self.theirs.restart_from_checkpoint(path, **objects)
        except pickle.UnpicklingError as error:
            folder, name = Path(path).parent, Path(path).name
            raise InputError(f"--output_dir = {folder}: must be another, its {name} is of no such run") from error


def check_arguments(main: ModuleType, args: argparse.Namespace) -> None:
    """Raises ``InputError`` for arguments on which DINO would fail late or without a clear message."""
    require(Path(args.data_path).is_dir(), "--data_path", str(args.data_path), "a folder")
    most = f"at most --epochs, {args.epochs}"
    require(args.warmup_epochs <= args.epochs, "--warmup_epochs", args.warmup_epochs, most)
    if not hasattr(main.vits, args.arch.replace("deit", "vit")):
        return
    augment = main.DataAugmentationDINO(args.global_crops_scale, args.local_crops_scale, args.local_crops_number)
    sizes = sorted({crop.shape[-1] for crop in augment(Image.new("RGB", (256, 256)))})
    largest = math.gcd(*sizes)
    wanted = f"a divisor of {largest}, for crops of {' and '.join(map(str, sizes))} pixels"
    require(largest % args.patch_size == 0, "--patch_size", args.patch_size, wanted)


def plain(value: Any) -> Any:
    """``value`` with namespaces as dicts and NumPy scalars as Python's, which ``torch.load`` accepts today."""
    if isinstance(value, argparse.Namespace):
        return plain(vars(value))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value))
    return value
