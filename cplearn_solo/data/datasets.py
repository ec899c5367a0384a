"""The data sets by name, and the training and scoring images that a ``DataConfig`` asks for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
import torchvision
from rich.progress import track
from sklearn.datasets import load_digits
from torch import Tensor

from cplearn_solo.core.errors import InputError
from cplearn_solo.core.registry import Registry
from cplearn_solo.data.checks import check_data
from cplearn_solo.data.image_set import IMAGENET_MEAN, IMAGENET_STD, Channels, Encoded, FileSet, ImageSet, MemorySet
from cplearn_solo.data.schema import DataConfig

# (cfg, with_test) -> training images and, if asked for and there, test images.
Loader = Callable[[DataConfig, bool], tuple[ImageSet, ImageSet | None]]
DATASETS: Registry[Loader] = Registry("data.dataset")

# Per-channel mean and std of data sets where they are customary; others are measured.
NORMALISATION: dict[str, tuple[Channels, Channels]] = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "stl10": ((0.4914, 0.4823, 0.4466), (0.2470, 0.2430, 0.2610)),
    "svhn": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
}

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp")
SMALL_SIDE = 64  # parquet images up to this many pixels are decoded into memory
SLOW_DECODE = 5000  # images from which decoding takes long enough to show a progress bar


@dataclass(frozen=True)
class Splits:
    """``train`` to learn from, ``test`` to score on (None: nothing to score), and what ``test`` is: test or val."""

    train: ImageSet
    test: ImageSet | None
    name: str


def load_splits(
    cfg: DataConfig, *, seed: int, mean: Sequence[float] | None = None, std: Sequence[float] | None = None
) -> Splits:
    """The images ``cfg`` asks for; every selection is a function of ``cfg`` and ``seed`` only.

    ``mean`` and ``std`` (three numbers each) replace those of the data set in both parts. Raises ``InputError`` for
    anything missing, unreadable or out of range.
    """
    check_data(cfg)
    with_test = cfg.val_split == 0 and not cfg.no_labels  # else the test images are not even opened
    train, test = DATASETS[cfg.dataset](cfg, with_test)
    train = _first(train, cfg.max_train_images)
    if cfg.val_split:
        test, train = _hold_out(train, cfg.val_split, seed)
    if cfg.fraction != -1:
        train = _nonempty(train.subset(_stratified(train.labels, cfg.fraction, seed)[0]), "data.fraction", cfg.fraction)
    if test is not None:
        test = _first(test, cfg.max_val_images)

    if cfg.dataset == "parquet":
        train, test = _decoded(train), test and _decoded(test)
    own_mean, own_std = NORMALISATION.get(cfg.dataset) or _statistics(train)
    norm = {"mean": tuple(mean or own_mean), "std": tuple(std or own_std)}
    return Splits(replace(train, **norm), test and replace(test, **norm), "val" if cfg.val_split else "test")


# --- choosing images ---------------------------------------------------------------------------------------------


def _first(images: ImageSet, count: int | None) -> ImageSet:
    return images if count is None or count >= len(images) else images.subset(torch.arange(count))


def _nonempty(images: ImageSet, key: str, value: float) -> ImageSet:
    if not len(images):
        raise InputError(f"{key} is {value}: it leaves no training or no held-out images, choose another share")
    return images


def _stratified(labels: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of a share of the images, alike in every class to within one image, and of the rest; both sorted."""
    shuffled = torch.from_numpy(np.random.default_rng(seed).permutation(len(labels)))
    by_class = shuffled[labels[shuffled].argsort(stable=True)]
    # Walking through class after class and taking an image whenever share * position passes an integer.
    taken = torch.arange(len(labels) + 1, dtype=torch.float64).mul(share).add(0.5).floor().diff() > 0
    return by_class[taken].sort().values, by_class[~taken].sort().values


def _hold_out(train: ImageSet, share: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """The held-out images, a share of those with a label, and the remaining training images."""
    labelled = (train.labels >= 0).nonzero().flatten()
    held = labelled[_stratified(train.labels[labelled], share, seed)[0]]
    rest = torch.ones(len(train), dtype=torch.bool).index_fill(0, held, False).nonzero().flatten()
    return tuple(_nonempty(train.subset(part), "data.val_split", share) for part in (held, rest))


def _statistics(images: ImageSet) -> tuple[Channels, Channels]:
    """Mean and std per channel of images in memory; ImageNet's for files, which would have to be decoded first."""
    if not isinstance(images, MemorySet):
        return IMAGENET_MEAN, IMAGENET_STD
    # Histograms of the 256 pixel values: exact, and without a float copy of the images.
    counts = torch.stack([images.images[:, c].flatten().bincount(minlength=256) for c in range(3)]).double()
    values = torch.arange(256, dtype=torch.float64) / 255
    weights = counts / counts.sum(1, keepdim=True)
    mean = weights @ values
    std = (weights @ values.square() - mean.square()).clamp(min=0).sqrt().clamp(min=1 / 255)  # a constant channel
    return tuple(mean.tolist()), tuple(std.tolist())


# --- arrays: digits and torchvision's downloads --------------------------------------------------------------------


@DATASETS.register("digits")
def _digits(cfg: DataConfig, with_test: bool) -> tuple[MemorySet, MemorySet]:
    """scikit-learn's 1797 digits of 8x8 pixels; every fifth of a class is a test image, whatever the run's seed."""
    data = load_digits()
    images = torch.from_numpy(data.images * (255 / 16)).round().to(torch.uint8)[:, None].repeat(1, 3, 1, 1)
    digits = MemorySet(images, torch.from_numpy(data.target).long(), 10, classes=tuple("0123456789"))
    test, train = _stratified(digits.labels, 0.2, seed=0)
    return digits.subset(train), digits.subset(test)


def _torchvision(dataset: str, num_classes: int, train: dict, test: dict) -> Loader:
    """The loader of a torchvision class named ``dataset`` whose two parts take these keyword arguments."""

    def load_part(root: str, part: dict) -> MemorySet:
        try:
            raw = getattr(torchvision.datasets, dataset)(root, download=True, **part)
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"{dataset} could not be read or downloaded ({str(error).partition(chr(10))[0]}): "
                f"put its files in {root} (data.train_path), or set data.dataset=digits"
            ) from error
        images = torch.from_numpy(np.asarray(raw.data))
        if images.shape[-1] == 3:  # CIFAR has channels last
            images = images.permute(0, 3, 1, 2).contiguous()
        labels = torch.as_tensor(np.asarray(raw.targets if hasattr(raw, "targets") else raw.labels)).long()
        return MemorySet(images, labels, num_classes, classes=tuple(getattr(raw, "classes", ())))

    def load(cfg: DataConfig, with_test: bool) -> tuple[MemorySet, MemorySet | None]:
        root = cfg.train_path or "./datasets"
        # solo-learn's configs leave other data sets' folders in val_path; only an existing one can be meant.
        test_root = cfg.val_path if cfg.val_path and Path(cfg.val_path).is_dir() else root
        return load_part(root, train), load_part(test_root, test) if with_test else None

    return load


DATASETS.register("cifar10")(_torchvision("CIFAR10", 10, {"train": True}, {"train": False}))
DATASETS.register("cifar100")(_torchvision("CIFAR100", 100, {"train": True}, {"train": False}))
DATASETS.register("svhn")(_torchvision("SVHN", 10, {"split": "train"}, {"split": "test"}))
DATASETS.register("stl10")(_torchvision("STL10", 10, {"split": "train+unlabeled"}, {"split": "test"}))


# --- folders of image files --------------------------------------------------------------------------------------


@DATASETS.register("imagenet100")
@DATASETS.register("imagenet")
@DATASETS.register("custom")
def _folders(cfg: DataConfig, with_test: bool) -> tuple[FileSet, FileSet | None]:
    """One folder per class (the sorted names are the labels), or with ``no_labels`` any images below the folder."""
    root = _existing(cfg.train_path, "data.train_path")
    if cfg.no_labels:
        files = _some_images(_image_files(root), root)
        return FileSet(files, torch.full((len(files),), -1), 0), None
    classes = tuple(sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and entry.name[0] != "."))
    if not classes:
        raise InputError(f"data.train_path {root} has no class folders: add one per class, or set data.no_labels=true")
    train = _class_folder(root, classes)
    if not with_test or cfg.val_path is None:
        return train, None
    return train, _class_folder(_existing(cfg.val_path, "data.val_path"), classes)


def _class_folder(root: Path, classes: tuple[str, ...]) -> FileSet:
    extra = {entry.name for entry in os.scandir(root) if entry.is_dir() and entry.name[0] != "."} - set(classes)
    if extra:
        raise InputError(f"{root} has class folder {min(extra)!r}, which is not in data.train_path")
    found = [(file, label) for label, name in enumerate(classes) for file in _image_files(root / name)]
    files, labels = zip(*_some_images(found, root))
    return FileSet(files, torch.tensor(labels), len(classes), classes=classes)


def _image_files(folder: Path | str) -> Iterator[str]:
    """Paths of the images below ``folder``, sorted; nothing where there is no such folder."""
    if not os.path.isdir(folder):
        return
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _image_files(entry.path)
        elif entry.name.lower().endswith(EXTENSIONS):
            yield entry.path


def _some_images(found, root: Path) -> list:
    found = list(found)
    if not found:
        raise InputError(f"no images below {root}: expected files ending in {', '.join(EXTENSIONS)}")
    return found


def _existing(path: str | None, key: str) -> Path:
    if path is None or not Path(path).exists():
        raise InputError(f"{key} is {path!r}: no such file or folder")
    return Path(path)


# --- parquet -----------------------------------------------------------------------------------------------------


@DATASETS.register("parquet")
def _parquet(cfg: DataConfig, with_test: bool) -> tuple[FileSet, FileSet | None]:
    """Encoded images and labels of parquet files in the Hugging Face layout, or with a column of plain bytes."""
    train, names = _read_parquet(_existing(cfg.train_path, "data.train_path"), cfg)
    num_classes = 0 if cfg.no_labels else len(names) or int(train.labels.max()) + 1
    train = _labels_checked(replace(train, num_classes=num_classes, classes=names), cfg.train_path)
    if not with_test or cfg.val_path is None:
        return train, None
    test, _ = _read_parquet(_existing(cfg.val_path, "data.val_path"), cfg)
    return train, _labels_checked(replace(test, num_classes=num_classes, classes=names), cfg.val_path)


def _read_parquet(path: Path, cfg: DataConfig) -> tuple[FileSet, tuple[str, ...]]:
    """The images of a file or of a folder of files, and the class names if the files know them."""
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    sources, labels, names = [], [], ()
    for file in files:
        try:
            schema = pq.read_schema(file)
            wanted = [cfg.image_column] if cfg.no_labels else [cfg.image_column, cfg.label_column]
            if len(set(wanted)) < len(wanted):
                raise InputError(f"data.image_column and data.label_column are both {cfg.label_column!r}")
            for key, column in zip(("data.image_column", "data.label_column"), wanted):
                if column not in schema.names:
                    raise InputError(f"{key} is {column!r}: columns of {file} are {', '.join(schema.names)}")
            table = pq.read_table(file, columns=wanted)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"unreadable parquet file {file}: {str(error).partition(chr(10))[0]}") from error
        sources += [Encoded(data, f"row {row} of {file}") for row, data in enumerate(_encoded(table[wanted[0]], file))]
        if cfg.no_labels:
            labels += [-1] * len(table)
        else:
            labels += _integers(table[cfg.label_column], file)
            names = names or _class_names(schema, cfg.label_column)
    if not sources:
        raise InputError(f"no rows in parquet files of {path}")
    return FileSet(sources, torch.tensor(labels), 0), names


def _encoded(column: pa.ChunkedArray, file: Path) -> list[bytes | None]:
    kind = column.type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        column = pc.struct_field(column, "bytes")
    elif not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise InputError(f"data.image_column of {file} holds {kind}: expected binary or struct<bytes: binary, path>")
    return column.to_pylist()


def _integers(column: pa.ChunkedArray, file: Path) -> list[int]:
    """Labels, with -1 for null: no label."""
    if not pa.types.is_integer(column.type):
        raise InputError(f"data.label_column of {file} holds {column.type}: expected integers")
    if column.null_count < len(column) and pc.min(column).as_py() < 0:
        raise InputError(f"data.label_column of {file} holds {pc.min(column).as_py()}: expected labels from 0 up")
    return column.fill_null(-1).to_pylist()


def _class_names(schema: pa.Schema, column: str) -> tuple[str, ...]:
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(features[column]["names"])
    except (KeyError, TypeError, ValueError):
        return ()


def _labels_checked(images: FileSet, path: str) -> FileSet:
    highest = int(images.labels.max())
    if highest >= images.num_classes:
        raise InputError(f"{path} holds label {highest}: expected labels from 0 to {images.num_classes - 1}")
    return images


def _decoded(images: FileSet) -> ImageSet:
    """The same images in memory if they are small and of one size, else as they are."""
    width, height = images.load(0).size
    if max(width, height) > SMALL_SIDE:
        return images
    pixels = np.empty((len(images), height, width, 3), np.uint8)
    for i in track(range(len(images)), "decoding images", disable=len(images) <= SLOW_DECODE, transient=True):
        image = images.load(i)
        if image.size != (width, height):
            return images
        pixels[i] = image
    tensor = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    return MemorySet(tensor, images.labels, images.num_classes, classes=images.classes)
