"""What a user may write under ``data:`` and ``augmentations:``, with solo-learn's names.

The dataclasses are OmegaConf structured configs, which need real types: no postponed annotations here.
"""

from dataclasses import dataclass, field
from typing import Any, List, Optional

# Data sets of one content wherever they are stored.
KNOWN_IMAGES = ("digits", "cifar10", "cifar100", "svhn", "stl10")

RGB = 3  # channels

# Data sets of which the training images may come without labels.
MAY_LACK_LABELS = ("custom", "parquet", "hub")


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
    mean: Optional[List[float]] = None  # one per channel, instead of the data set's; that of the first pipeline is used
    std: Optional[List[float]] = None


@dataclass
class DataConfig:
    """Which images to train and to score on."""

    dataset: str = "digits"  # a name in cplearn_solo.data.DATASETS
    train_path: Any = "./datasets"  # a source of docs/data.md, or a list of them; for downloads, their folder
    val_path: Any = None  # the same for the test images; for downloads, train_path if not given
    format: str = "image_folder"  # image_folder; dali means the same
    num_workers: Any = "auto"  # processes per device that read image files; auto: from the number of cores
    no_labels: bool = False  # custom, parquet, hub: only the images in val_path have labels
    fraction: float = -1.0  # stratified seeded share of the training images in (0, 1]; -1 keeps all
    imbalance: Optional[float] = None  # largest over smallest class size; sizes fall exponentially with the label
    val_split: float = 0.0  # share of the training images held out and scored instead of the test images
    max_train_images: Optional[int] = None  # the first N training images, before val_split and fraction
    max_val_images: Optional[int] = None  # the first N of the images that are scored
    allow_overlap: bool = False  # score images that are also training images
    channels: int = RGB  # 3: RGB; 1: grey; other numbers: images with exactly that many bands, unchanged
    image_column: str = "img"  # parquet, hub, lists: column of images; found by its type if the name is missing
    label_column: str = "label"  # the same for labels
    range: Any = None  # [low, high]: values that become black and white in images of over 8 bits; auto measures them
    background: str = "white"  # colour behind transparent pixels, a name or "#rrggbb"
    max_unreadable: float = 0.01  # share of images that may be unreadable; unless it is 0, three are always allowed
    max_pixels: int = 178_956_970  # of the largest image that is decoded; the value is Pillow's own
