"""A detection transfer from its configuration to its result: trained step by step, resumed after a kill."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import nn
from torch.utils.data import DataLoader
from torchvision.transforms.v2 import RandomHorizontalFlip

from cplearn_solo.backbones import build_backbone
from cplearn_solo.core.as_yaml import as_yaml
from cplearn_solo.core.distributed import sum_ranks, sync_batchnorm
from cplearn_solo.core.errors import InputError, require
from cplearn_solo.core.files import whole_file, write_file, write_json, written
from cplearn_solo.core.locks import locked_folder
from cplearn_solo.core.out_of_memory import large_batch_told
from cplearn_solo.core.processes import end_with_parent
from cplearn_solo.core.progress import say, tracked
from cplearn_solo.core.stored import read_json
from cplearn_solo.data.schema import RGB
from cplearn_solo.data.workers import worker_number
from cplearn_solo.detection.annotations import Annotations, pycocotools, read_coco, require_same_categories
from cplearn_solo.detection.dataset import AnnotatedImages, Steps
from cplearn_solo.detection.network import build_detector
from cplearn_solo.detection.scenes import draw_scenes
from cplearn_solo.detection.schema import DetectConfig, Solver, known_by
from cplearn_solo.detection.score import average_precision
from cplearn_solo.detection.voc import read_voc, voc_files
from cplearn_solo.engine.provenance import provenance
from cplearn_solo.inference.devices import choose_device
from cplearn_solo.inference.pretrained import Pretrained, load_pretrained, transform_of

RESULT, LAST = "result.json", "last.pt"  # in a transfer's folder: its scores, and the detector to resume from
NOT_IDENTITY = ("pretrained", "save_every", "accelerator", "devices")  # the weights count, not their path


@dataclass(frozen=True)
class Transfer:
    """A finished transfer: its folder, and the content of ``result.json``."""

    folder: Path
    result: dict[str, Any]


def detect(config: DetectConfig) -> Transfer | None:
    """Trains a detector on top of the backbone of ``config.pretrained`` and scores it.

    The folder is in the run's or the checkpoint's folder and is named by backbone and configuration: the same call
    resumes after a kill, and returns a result that exists. Returns ``None`` in the processes of other devices.
    """
    pycocotools("coco")
    device = choose_device(config.accelerator)
    fabric = Fabric(accelerator=device.type, devices=config.devices, precision=config.precision)
    fabric.launch()
    if not fabric.is_global_zero:
        end_with_parent()  # the first process may fail while this one waits for it
    model = load_pretrained(config.pretrained)
    require(model.config.data.channels == RGB, "pretrained", config.pretrained, "a run on RGB images")
    backbone = _random(model, config.seed) if config.from_scratch else model.backbone.requires_grad_(True)
    norms = config.from_scratch and any(isinstance(each, nn.BatchNorm2d) for each in backbone.modules())
    wanted = "trained with from_scratch=true: random weights have no statistics to freeze"
    require(not norms or config.model.batch_norm == "trained", "model.batch_norm", config.model.batch_norm, wanted)
    folder = (model.run or model.checkpoint.parent) / "detection" / _identity(config, backbone)
    if not (folder / RESULT).is_file():
        batch = ("optimizer.batch_size", config.optimizer.batch_size, fabric.device)
        with _held(folder, config, fabric), large_batch_told(*batch):
            _train_and_score(fabric, config, model, backbone, folder)
    if not fabric.is_global_zero:
        return None
    return Transfer(folder, read_json(folder / RESULT))


def _train_and_score(
    fabric: Fabric, config: DetectConfig, model: Pretrained, backbone: nn.Module, folder: Path
) -> None:
    masks = config.model.name == "mask_rcnn"
    train, val = _annotations(fabric, config, folder, masks)
    require_same_categories(train, val)
    decoding = transform_of(model).decoding
    images = AnnotatedImages(train, decoding, masks=masks, with_objects=True)
    torch.manual_seed(config.seed)
    detector = build_detector(backbone, config.model, len(train.categories), model.mean, model.std)
    if fabric.world_size > 1:
        sync_batchnorm(detector, on_gpus=fabric.device.type == "cuda")
    solver, workers = config.optimizer, _workers(config)
    sgd = torch.optim.SGD(detector.parameters(), lr=solver.lr, momentum=0.9, weight_decay=solver.weight_decay)
    first = _load(folder, detector)
    network, optimizer = fabric.setup(detector, sgd)
    if first:
        optimizer.load_state_dict(torch.load(folder / LAST, map_location="cpu", weights_only=True)["optimizer"])
    say(f"{folder}: {len(images)} images, {len(train.categories)} categories, step {first} of {solver.steps}")
    order = {"batch_size": solver.batch_size, "first": first, "steps": solver.steps, "seed": config.seed}
    steps = Steps(len(images), **order, rank=fabric.global_rank, world=fabric.world_size)
    loader = DataLoader(images, batch_sampler=steps, num_workers=workers, collate_fn=_lists)
    loader = fabric.setup_dataloaders(loader, use_distributed_sampler=False)
    flip = RandomHorizontalFlip()
    network.train()
    for step, batch in enumerate(tracked(loader, "training", total=len(steps)), first):
        # The seed is a function of the step, so that a resumed training draws the same random numbers. Python's hash of
        # numbers is the same in every process. Results in results/ depend on it, so hash_seed is not used here.
        torch.manual_seed(hash((config.seed, step, fabric.global_rank)))
        for group in optimizer.param_groups:
            group["lr"] = solver.lr * _factor(solver, step)
        losses = network(*zip(*(flip(image, target) for image, target in batch)))
        loss = sum(losses.values())
        total = sum_ranks(loss.detach())  # over all processes, so that they end together
        if not total.isfinite():
            raise InputError(f"optimizer.lr = {solver.lr}: must be smaller, the loss of step {step} is {total.item()}")
        optimizer.zero_grad()
        fabric.backward(loss)
        optimizer.step()
        if (step + 1) % config.save_every == 0 or step + 1 == solver.steps:
            _save(fabric, folder, detector, optimizer, step + 1)
    if fabric.is_global_zero:
        with fabric.autocast():
            scores = average_precision(detector, val, decoding, masks=masks, device=fabric.device, num_workers=workers)
        facts = {"scored_images": len(val.coco.imgs), "train_images": len(images), "config": asdict(config)}
        write_json(folder / RESULT, {**scores, **facts, **provenance()})


def _annotations(fabric: Fabric, config: DetectConfig, folder: Path, masks: bool) -> tuple[Annotations, Annotations]:
    data, parts = config.data, ("train", "val")
    if data.dataset == "voc":
        train, val = (read_voc(data.root, getattr(data, part), key=f"data.{part}") for part in parts)
        return train, val
    files = {part: (getattr(data, part), getattr(data, f"{part}_images")) for part in parts}
    if data.dataset == "digits":
        if fabric.is_global_zero:
            with written(folder / "scenes"):
                draw_scenes(folder / "scenes", data.scenes, config.seed)
        fabric.barrier()
        files = {part: (str(folder / "scenes" / f"{part}.json"), None) for part in parts}
    train, val = (read_coco(*files[part], key=f"data.{part}", masks=masks) for part in parts)
    return train, val


def _random(model: Pretrained, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    own, size = model.config.backbone, model.config.augmentations[0].crop_size
    return build_backbone(own.name, crop_size=size, **own.kwargs)


def _identity(config: DetectConfig, backbone: nn.Module) -> str:
    """A hash of all that decides the result, 12 hexadecimal digits."""
    counting = {key: value for key, value in asdict(config).items() if key not in NOT_IDENTITY}
    counting["data"] = known_by(config.data)
    digest = hashlib.sha256(json.dumps(counting, sort_keys=True).encode())
    for part in ("train", "val") if config.data.dataset == "voc" else ():
        for _, boxes in voc_files(config.data.root, getattr(config.data, part), key=f"data.{part}"):
            digest.update(boxes.read_bytes())
    for name, tensor in backbone.state_dict().items():
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


@contextmanager
def _held(folder: Path, config: DetectConfig, fabric: Fabric) -> Iterator[None]:
    """A block in which only this process and those of its other devices use the folder; writes its configuration."""
    if not fabric.is_global_zero:
        yield
        return
    with locked_folder(folder, key="folder", work="works on this transfer"):
        write_file(folder / "config.yaml", as_yaml(asdict(config)))
        yield


def _factor(solver: Solver, step: int) -> float:
    """The factor of the learning rate at a step."""
    decays = sum(step >= round(share * solver.steps) for share in solver.decay_at)
    return min(1.0, (step + 1) / max(1, solver.warmup_steps)) * 0.1**decays


def _load(folder: Path, detector: nn.Module) -> int:
    """Loads the last saved weights into the detector, if there are any, and returns the number of trained steps."""
    if not (folder / LAST).is_file():
        return 0
    saved = torch.load(folder / LAST, map_location="cpu", weights_only=True)
    detector.load_state_dict(saved["detector"])
    return saved["step"]


def _save(fabric: Fabric, folder: Path, detector: nn.Module, optimizer: Any, step: int) -> None:
    if fabric.is_global_zero:
        state = {"detector": detector.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
        # to an open file, because PyTorch's own writer does not report why it failed
        with whole_file(folder / LAST) as partial, open(partial, "wb") as out:
            torch.save(state, out)
    fabric.barrier()


def _workers(config: DetectConfig) -> int:
    """Number of worker processes; 0 for drawn scenes, whose images are so small that processes cost more time."""
    drawn = config.data.dataset == "digits" and config.data.num_workers == "auto"
    return 0 if drawn else worker_number(config.data.num_workers, colour=False, processes=config.devices)


def _lists(batch: list[Any]) -> list[Any]:
    return batch
