"""What a user may write under ``data:`` and ``augmentations:``, with solo-learn's names, and the checks on it.

The dataclasses are OmegaConf structured configs, which need real types: no postponed annotations here.
"""

from dataclasses import dataclass, field
from typing import List, Optional

from cplearn_solo.registry import InputError, unknown

PADDING_MODES = ("reflect", "constant", "edge")
FORMATS = ("image_folder", "dali")


@dataclass
class RRC:
    """Random resized crop: a box of a share of the image's area, aspect 3/4 to 4/3, resized to ``crop_size``."""

    enabled: bool = True
    crop_min_scale: float = 0.08
    crop_max_scale: float = 1.0


@dataclass
class RandomCrop:
    """Pad every side by ``padding`` pixels, then crop ``crop_size`` at random; instead of the resized crop."""

    enabled: bool = False
    padding: int = 4
    padding_mode: str = "reflect"  # reflect, constant (black) or edge


@dataclass
class ColorJitter:
    """Factors drawn from [1 - x, 1 + x] (hue: a shift from [-x, x] turns), applied in a random order."""

    prob: float = 0.0
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.2
    hue: float = 0.1


@dataclass
class Prob:
    """An operation that happens with probability ``prob``."""

    prob: float = 0.0


@dataclass
class GaussianNoise:
    """Noise added to pixels in [0, 1], before normalisation and without clipping."""

    std: float = 0.0


@dataclass
class Augmentation:
    """One random pipeline; its operations are applied in the order of these fields."""

    rrc: RRC = field(default_factory=RRC)
    random_crop: RandomCrop = field(default_factory=RandomCrop)
    color_jitter: ColorJitter = field(default_factory=ColorJitter)
    grayscale: Prob = field(default_factory=Prob)
    gaussian_blur: Prob = field(default_factory=Prob)  # sigma uniform in [0.1, 2] pixels
    solarization: Prob = field(default_factory=Prob)  # inverts pixels from 128 up
    equalization: Prob = field(default_factory=Prob)
    horizontal_flip: Prob = field(default_factory=Prob)
    gaussian_noise: GaussianNoise = field(default_factory=GaussianNoise)
    crop_size: int = 32  # side of the square views in pixels
    num_crops: int = 1  # views drawn from this pipeline
    mean: Optional[List[float]] = None  # replaces the data set's own; the first pipeline's counts
    std: Optional[List[float]] = None


@dataclass
class DataConfig:
    """Which images to train and to score on."""

    dataset: str = "digits"  # a name in cplearn_solo.data.DATASETS
    train_path: Optional[str] = "./datasets"  # folder of images, parquet file(s), or where downloads go
    val_path: Optional[str] = None  # the same for the test images; downloads fall back to train_path
    format: str = "image_folder"  # image_folder; dali means the same
    num_workers: int = 4  # processes that decode and augment image files
    no_labels: bool = False  # custom and parquet: there are no labels, so there is no test set either
    fraction: float = -1.0  # stratified seeded share of the training images in (0, 1]; -1 keeps all
    val_split: float = 0.0  # share of the training images held out and scored instead of the test images
    max_train_images: Optional[int] = None  # the first N training images, before val_split and fraction
    max_val_images: Optional[int] = None  # the first N of the images that are scored
    image_column: str = "img"  # parquet: column of encoded images
    label_column: str = "label"  # parquet: column of integer labels


def require(ok: bool, key: str, value: object, wanted: str) -> None:
    """Raise the ``InputError`` for ``key`` unless ``ok``."""
    if not ok:
        raise InputError(f"{key} is {value!r}: expected {wanted}")


def check_augmentation(a: Augmentation) -> None:
    """Raise ``InputError`` for values that no pipeline can honour."""
    for name in ("color_jitter", "grayscale", "gaussian_blur", "solarization", "equalization", "horizontal_flip"):
        prob = getattr(a, name).prob
        require(0 <= prob <= 1, f"augmentations.{name}.prob", prob, "a number from 0 to 1")
    for name in ("brightness", "contrast", "saturation"):
        value = getattr(a.color_jitter, name)
        require(value >= 0, f"augmentations.color_jitter.{name}", value, "a number from 0 up")
    hue = a.color_jitter.hue
    require(0 <= hue <= 0.5, "augmentations.color_jitter.hue", hue, "a number from 0 to 0.5")
    require(a.gaussian_noise.std >= 0, "augmentations.gaussian_noise.std", a.gaussian_noise.std, "a number from 0 up")
    require(a.crop_size >= 1, "augmentations.crop_size", a.crop_size, "an integer from 1 up")
    require(a.num_crops >= 1, "augmentations.num_crops", a.num_crops, "an integer from 1 up")
    low, high = a.rrc.crop_min_scale, a.rrc.crop_max_scale
    require(0 < low <= high <= 1, "augmentations.rrc", (low, high), "0 < crop_min_scale <= crop_max_scale <= 1")
    for name, least in (("mean", "any"), ("std", "positive")):
        value = getattr(a, name)
        fits = value is None or (len(value) == 3 and (name == "mean" or min(value) > 0))
        require(fits, f"augmentations.{name}", value, f"three {least} numbers, one per channel")

    pad = a.random_crop
    require(not (pad.enabled and a.rrc.enabled), "augmentations.random_crop.enabled", True, "rrc.enabled=false with it")
    if pad.padding_mode not in PADDING_MODES:
        raise unknown("augmentations.random_crop.padding_mode", pad.padding_mode, PADDING_MODES)
    require(pad.padding >= 0, "augmentations.random_crop.padding", pad.padding, "an integer from 0 up")
    if pad.enabled and pad.padding_mode == "reflect":  # a reflection has only crop_size - 1 pixels to show
        wanted = f"less than crop_size ({a.crop_size}) for reflection"
        require(pad.padding < a.crop_size, "augmentations.random_crop.padding", pad.padding, wanted)


def check_data(cfg: DataConfig) -> None:
    """Raise ``InputError`` for values out of range; whether files exist is for ``load_splits`` to find out."""
    if cfg.format not in FORMATS:
        raise unknown("data.format", cfg.format, FORMATS)
    require(cfg.num_workers >= 0, "data.num_workers", cfg.num_workers, "an integer from 0 up")
    require(cfg.fraction == -1 or 0 < cfg.fraction <= 1, "data.fraction", cfg.fraction, "-1 (all) or a share in (0, 1]")
    require(0 <= cfg.val_split < 1, "data.val_split", cfg.val_split, "a share in [0, 1)")
    for name in ("max_train_images", "max_val_images"):
        value = getattr(cfg, name)
        require(value is None or value >= 1, f"data.{name}", value, "an integer from 1 up, or null for all")
    if cfg.no_labels:
        fits = cfg.dataset in ("custom", "parquet")
        require(fits, "data.no_labels", True, f"false unless dataset is custom or parquet, and it is {cfg.dataset!r}")
        require(cfg.val_split == 0, "data.val_split", cfg.val_split, "0 where no_labels is true, nothing can be scored")
