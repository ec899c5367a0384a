"""Training steps of the engine, from loader to optimizer, on images in memory, and a profile of a few steps.

The floor is the time of the backbone alone at the speed of large products: three times the forward pass of all views.
``launches`` and ``waits`` are the driver's calls per step that start kernels or graphs, and that wait for the device.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from cplearn_solo.backbones import build_backbone
from cplearn_solo.config.read import parse_config
from cplearn_solo.config.schema import Config
from cplearn_solo.core.errors import InputError
from cplearn_solo.data import DATASETS, DataConfig, MemorySet
from cplearn_solo.engine.module import Pretrainer
from cplearn_solo.engine.train import pretrain
from gpu_stages.machine import has_bf16
from gpu_stages.measure import floor_ms
from gpu_stages.options import Options
from gpu_stages.report import Report

PRETRAIN = Path(__file__).parents[2] / "scripts/pretrain"
# name -> shipped configuration, side of the images, and changes for a rehearsal
NETWORKS = {
    "ResNet-8 w128": ("cifar/cplearn", 32, {"backbone": {"name": "resnet8", "kwargs": {"width": 8}}}),
    "ResNet-18": ("cifar_resnet18/cplearn", 32, {"backbone": {"name": "resnet8", "kwargs": {"width": 8}}}),
    "ViT-S": ("imagenet-100/cplearn", 224, {"backbone": {"name": "vit_tiny", "kwargs": {"patch_size": 8}}}),
}
TINY = {"optimizer": {"batch_size": 4}, "method_kwargs": {"proj_hidden_dim": 16, "proj_output_dim": 64}}
EAGER = {"graph": False}
WAYS: dict[str, dict[str, Any]] = {
    "bf16": {"precision": "bf16-mixed", "performance": EAGER},
    "bf16, captured": {"precision": "bf16-mixed", "performance": {"graph": True}},
    "float32": {"precision": "32-true", "performance": EAGER},
    "bf16, compiled": {"precision": "bf16-mixed", "performance": {**EAGER, "compile": True}},  # takes a minute
}
STEPS = {16: (2, 4, 2), 32: (10, 40, 5), 224: (5, 20, 3)}  # by side of images: steps to warm up, to time, to profile


def run(report: Report, options: Options) -> None:
    for way in WAYS:
        for network in NETWORKS:
            if reason := left_out(way, options):
                report.add(network=network, way=way, note=reason)
            else:
                report.add(network=network, way=way, **measured(network, way, options, report))


def left_out(way: str, options: Options) -> str | None:
    if "bf16" in way and not has_bf16(options.device):
        return "no units for bf16"
    return "on a GPU only" if options.tiny and way not in ("bf16", "float32") else None


def measured(network: str, way: str, options: Options, report: Report) -> dict[str, Any]:
    """Columns of a row; only a ``note`` if it could not be measured."""
    config = configuration(network, way, options)
    clock = Clock(config, options)
    try:
        with tempfile.TemporaryDirectory() as folder:
            config.checkpoint.dir = folder
            clock.watch(lambda: pretrain(config).run.close())
    except (InputError, RuntimeError) as error:  # only this way fails; others may not
        return {"note": str(error).partition("\n")[0][:100]}
    report.say(*clock.profile_lines(f"{network}, {way}"))
    operations = 3 * forward_operations(config) * config.optimizer.batch_size
    products = "bf16" if "bf16" in way else "tf32"  # the default of convolutions on GPUs
    floor = floor_ms(Path(options.out), operations=operations, moved=0, products=products)
    return {
        "batch": config.optimizer.batch_size,
        "ms a step": clock.milliseconds,
        "floor ms": floor,
        "times floor": floor and clock.milliseconds / floor,
        "images/s": 1000 * config.optimizer.batch_size / clock.milliseconds,
        **clock.counts(),
    }


def configuration(network: str, way: str, options: Options) -> Config:
    shipped, side, tiny = NETWORKS[network]
    shipped = OmegaConf.load(PRETRAIN / f"{shipped}.yaml")
    side, batch = (16, 4) if options.tiny else (side, shipped.optimizer.batch_size)
    changes = {
        "data": {"dataset": f"noise {side}", "num_workers": 0, "max_train_images": (sum(STEPS[side]) + 1) * batch},
        "augmentations": [augmentation for augmentation in shipped.augmentations if augmentation.crop_size != 96],
        "checkpoint": {"enabled": False},
        "auto_resume": {"enabled": False},
        "max_epochs": 1,
        "limit_val_batches": 0,
        "enable_progress_bar": False,
        "accelerator": "cpu" if options.tiny else "gpu",
        "devices": 1,
        "strategy": "auto",
        "sync_batchnorm": False,
    }
    raw = OmegaConf.merge(shipped, changes, WAYS[way], {**TINY, **tiny} if options.tiny else {})
    for augmentation in raw.augmentations:
        augmentation.crop_size = side
    return parse_config(raw)


def forward_operations(config: Config) -> int:
    """Additions and multiplications of the backbone for all views of an image."""
    with torch.device("meta"):
        backbone = build_backbone(
            config.backbone.name, crop_size=(side := config.augmentations[0].crop_size), **config.backbone.kwargs
        )
        images = torch.empty(1, 3, side, side)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        backbone.eval()(images)
    return counter.get_total_flops() * sum(augmentation.num_crops for augmentation in config.augmentations)


def noise(side: int) -> Callable[..., tuple[MemorySet, None]]:
    def load(config: DataConfig, with_test: bool) -> tuple[MemorySet, None]:
        pixels = torch.randint(0, 256, (config.max_train_images, 3, side, side), dtype=torch.uint8)
        return MemorySet(pixels, torch.arange(len(pixels)) % 10, 10), None

    return load


for _side in STEPS:
    DATASETS.register(f"noise {_side}")(noise(_side))


class Clock:
    """Observes the engine's training: times some steps without disturbing them, and profiles the next few."""

    def __init__(self, config: Config, options: Options) -> None:
        self.warm, self.timed, self.profiled = STEPS[config.augmentations[0].crop_size]
        self.cuda, self.steps = options.device == "cuda", 0
        self.profile = profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if self.cuda else [])])

    def watch(self, work: Callable[[], None]) -> None:
        after = Pretrainer.on_train_batch_end

        def watched(module: Pretrainer, *args: Any) -> None:
            after(module, *args)
            self._step()

        Pretrainer.on_train_batch_end = watched
        gc.collect()  # frees memory of the way before
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
        try:
            work()
        finally:
            Pretrainer.on_train_batch_end = after

    def _step(self) -> None:
        self.steps += 1
        if self.steps == self.warm:
            self._wait()
            self._start = time.perf_counter()
        if self.steps == self.warm + self.timed:
            self._wait()
            self.milliseconds = 1000 * (time.perf_counter() - self._start) / self.timed
            self.profile.start()
        if self.steps == self.warm + self.timed + self.profiled:
            self._wait()
            self.profile.stop()

    def _wait(self) -> None:
        if self.cuda:
            torch.cuda.synchronize()

    def counts(self) -> dict[str, Any]:
        """Counts per step, and peak memory."""
        if not self.cuda:
            return {
                "operations": sum(e.count for e in self.profile.key_averages() if e.key.startswith("aten::"))
                / self.profiled
            }
        calls = {event.key: event.count / self.profiled for event in self.profile.key_averages()}
        return {
            "launches": sum(count for key, count in calls.items() if "LaunchKernel" in key or key == "cudaGraphLaunch"),
            "waits": sum(count for key, count in calls.items() if "Synchronize" in key),
            "copies": sum(count for key, count in calls.items() if key.startswith("cudaMemcpy")),
            "MB": torch.cuda.max_memory_allocated() / 2**20,
        }

    def profile_lines(self, title: str, most: int = 12) -> list[str]:
        """Lines on the operations, or on a GPU the kernels, in which a step spends most time."""
        time_of = "self_device_time_total" if self.cuda else "self_cpu_time_total"
        events = [
            e
            for e in self.profile.key_averages()
            if getattr(e, time_of) > 0 and not (self.cuda and e.key.startswith(("aten::", "Optimizer.step")))
        ]
        events.sort(key=lambda event: -getattr(event, time_of))
        total = sum(getattr(event, time_of) for event in events) / self.profiled / 1000
        lines = [
            f"    {getattr(e, time_of) / self.profiled / 1000:8.3f} ms {e.count / self.profiled:6.0f} x  {e.key[:80]}"
            for e in events[:most]
        ]
        return [
            "",
            f"{title}: {total:.3f} ms a step in {'kernels' if self.cuda else 'operations'}, most of it in",
            *lines,
        ]
