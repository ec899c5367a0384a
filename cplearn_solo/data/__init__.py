"""From the names in a config to batches of views.

``load_splits`` reads the images of a data set, ``train_loader`` and ``eval_loader`` make batches of them. Images that
fit in memory are augmented on the device by ``BatchAugment``, others by worker processes, one at a time; both draw
their views from the same distribution.
"""

from cplearn_solo.data.datasets import DATASETS, KNOWN_IMAGES, NORMALISATION, Splits, load_splits
from cplearn_solo.data.image_set import IMAGENET_MEAN, IMAGENET_STD, FileSet, ImageSet, MemorySet
from cplearn_solo.data.loaders import EpochSampler, MemoryLoader, eval_loader, step_generator, train_loader
from cplearn_solo.data.per_batch import BatchAugment, eval_batch
from cplearn_solo.data.per_image import eval_image, per_image
from cplearn_solo.data.schema import Augmentation, DataConfig, check_augmentation, check_data

__all__ = [
    "DATASETS",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "KNOWN_IMAGES",
    "NORMALISATION",
    "Augmentation",
    "BatchAugment",
    "DataConfig",
    "EpochSampler",
    "FileSet",
    "ImageSet",
    "MemoryLoader",
    "MemorySet",
    "Splits",
    "check_augmentation",
    "check_data",
    "eval_batch",
    "eval_image",
    "eval_loader",
    "load_splits",
    "per_image",
    "step_generator",
    "train_loader",
]
