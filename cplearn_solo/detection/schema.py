"""What a user may ask of a detection transfer.

The dataclasses are OmegaConf structured configs, which need real types: no postponed annotations here.
"""

import hashlib
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, List, Optional

from omegaconf import DictConfig

from cplearn_solo.config.checks import check_choices, check_numbers
from cplearn_solo.config.evaluation import ACCELERATORS
from cplearn_solo.config.read import resolved
from cplearn_solo.core.errors import InputError, require
from cplearn_solo.core.schema import read_schema
from cplearn_solo.data.checks import check_workers

DATASETS = ("coco", "voc", "digits")
MODELS = ("faster_rcnn", "mask_rcnn")
NECKS = ("fpn", "c4")
BATCH_NORM = ("frozen", "trained")
PRECISIONS = ("32-true", "bf16-mixed")


@dataclass
class Annotated:
    """Images with boxes."""

    dataset: str = "coco"  # coco: files of annotations; voc; digits: scenes that are drawn here
    train: Any = None  # coco: a file; voc: parts, as [2007_trainval, 2012_trainval]
    val: Any = None
    train_images: Optional[str] = None  # coco: their folder; default: as COCO, or that of train
    val_images: Optional[str] = None
    root: str = "datasets"  # voc: folder that holds VOCdevkit
    scenes: int = 60  # digits: training images; there are as many to score
    num_workers: Any = "auto"  # processes that read images; auto: by the cores there are


@dataclass
class Network:
    """torchvision's R-CNN on top of the backbone."""

    name: str = "mask_rcnn"  # one of MODELS
    neck: str = "fpn"  # fpn: a pyramid of all stages; c4: stage 3, and stage 4 as the head of regions
    batch_norm: str = "frozen"  # of the backbone; trained: over all devices
    channels: int = 256  # of the pyramid and the mask head
    anchor_sizes: List[int] = field(default_factory=lambda: [32, 64, 128, 256, 512])  # fpn: one a level
    rois: int = 512  # regions of an image in a training step
    # Of the shorter side, one of them in each step; images are scored at the last.
    sizes: List[int] = field(default_factory=lambda: [640, 672, 704, 736, 768, 800])
    max_size: int = 1333  # of the longer side


@dataclass
class Solver:
    """SGD with momentum 0.9; the rate rises linearly, and is divided by ten at each of ``decay_at``."""

    lr: float = 0.02
    batch_size: int = 16  # images of a step, of all devices together
    weight_decay: float = 1e-4
    warmup_steps: int = 1000
    steps: int = 90_000
    decay_at: List[float] = field(default_factory=lambda: [2 / 3, 8 / 9])  # shares of the steps


@dataclass
class DetectConfig:
    """Keys of ``cplearn detect``."""

    pretrained: Optional[str] = None  # run folder or checkpoint
    from_scratch: bool = False  # the same backbone with random weights
    data: Annotated = field(default_factory=Annotated)
    model: Network = field(default_factory=Network)
    optimizer: Solver = field(default_factory=Solver)
    save_every: int = 1000  # steps
    accelerator: str = "auto"  # one of ACCELERATORS
    devices: int = 1
    precision: str = "32-true"  # one of PRECISIONS
    seed: int = 0


def parse_detection(raw: DictConfig | dict[str, Any]) -> DetectConfig:
    """A checked configuration; raises ``InputError`` naming the key, the value and the choices."""
    config = read_schema(resolved(raw), DetectConfig)
    if not config.pretrained:
        raise InputError("pretrained is missing: cplearn detect RUN_OR_CHECKPOINT")
    chosen = {
        "data.dataset": (config.data.dataset, DATASETS),
        "model.name": (config.model.name, MODELS),
        "model.neck": (config.model.neck, NECKS),
        "model.batch_norm": (config.model.batch_norm, BATCH_NORM),
        "accelerator": (config.accelerator, ACCELERATORS),
        "precision": (config.precision, PRECISIONS),
    }
    check_choices(chosen)
    check_workers("data.num_workers", config.data.num_workers)
    solver, model = config.optimizer, config.model
    at_least: dict[str, tuple[float, float]] = {
        "data.scenes": (config.data.scenes, 1),
        "model.channels": (model.channels, 1),
        "model.rois": (model.rois, 1),
        "model.max_size": (model.max_size, 8),
        "optimizer.lr": (solver.lr, 0),
        "optimizer.batch_size": (solver.batch_size, 1),
        "optimizer.weight_decay": (solver.weight_decay, 0),
        "optimizer.warmup_steps": (solver.warmup_steps, 0),
        "optimizer.steps": (solver.steps, 1),
        "save_every": (config.save_every, 1),
        "devices": (config.devices, 1),
    }
    check_numbers(at_least, seed=config.seed)
    for key, sizes in (("model.anchor_sizes", model.anchor_sizes), ("model.sizes", model.sizes)):
        require(bool(sizes) and min(sizes) >= 1, key, sizes, "a list of pixels, at least one")
    shares = all(0 < share <= 1 for share in solver.decay_at)
    require(shares, "optimizer.decay_at", solver.decay_at, "a list of shares of the steps, above 0 and at most 1")
    shared = solver.batch_size % config.devices == 0
    require(shared, "optimizer.batch_size", solver.batch_size, f"a multiple of devices ({config.devices})")
    masks = model.name == "mask_rcnn" and config.data.dataset == "voc"
    require(not masks, "model.name", model.name, "faster_rcnn with data.dataset=voc, whose boxes have no masks")
    for key in ("train", "val"):
        given = getattr(config.data, key)
        needed = config.data.dataset != "digits"
        require(bool(given) or not needed, f"data.{key}", given, f"set with data.dataset={config.data.dataset}")
        wanted = "null for scenes of digits, which are drawn; images of your own need both data.train and data.val"
        require(not given or needed, f"data.{key}", given, wanted)
        folder = getattr(config.data, f"{key}_images")
        wanted = f"null with data.dataset={config.data.dataset}: the folder of images is of coco"
        require(not folder or config.data.dataset == "coco", f"data.{key}_images", folder, wanted)
    return config


def check_annotated(data: Annotated) -> None:
    """Raises ``InputError`` for annotations in COCO's format, or folders of their images, that are not there."""
    if data.dataset == "coco":
        coco_places(data.train, data.train_images, key="data.train")
        coco_places(data.val, data.val_images, key="data.val")


def known_by(data: Annotated) -> dict[str, Any]:
    """What decides which images and boxes these are, wherever the call is made: the content of COCO's files, which
    people correct, and whole paths of folders. What VOC's many files say is not part of it."""
    known = {key: value for key, value in asdict(data).items() if key != "num_workers"}
    if data.dataset == "voc":
        return {**known, "root": os.path.abspath(data.root)}
    for part in ("train", "val") if data.dataset == "coco" else ():
        file, folder = coco_places(known[part], known[f"{part}_images"], key=f"data.{part}")
        known[part] = hashlib.sha256(file.read_bytes()).hexdigest()
        known[f"{part}_images"] = os.path.abspath(folder)
    return known


def coco_places(file: Any, images: Optional[str], *, key: str) -> tuple[Path, Path]:
    """The file, and the folder of its images: ``images``, else as COCO has them, else the file's own.

    Raises ``InputError`` for what is not there.
    """
    require(isinstance(file, str) and Path(file).is_file(), key, file, "a file of annotations in COCO's format")
    path = Path(file)
    of_coco = path.parent.parent / path.stem.partition("_")[2]  # train2017 of annotations/instances_train2017.json
    own_layout = path.parent.name == "annotations" and of_coco.is_dir()
    folder = Path(images) if images else of_coco if own_layout else path.parent
    require(folder.is_dir(), f"{key}_images", images, "a folder")
    return path, folder
