"""From the names in a config to batches of views.

``load_splits`` reads the images of a data set, ``train_loader`` and ``eval_loader`` make batches of them.
``BatchAugment`` cuts images in memory on the device; worker processes cut images in files when they read them. Both
draw views from the same distribution, and ``BatchAugment`` applies all other operations.
"""

from typing import TYPE_CHECKING

from cplearn_solo.core.lazy import lazy_imports

if TYPE_CHECKING:
    from cplearn_solo.data.batch_views import BatchAugment, Normalise
    from cplearn_solo.data.checks import check_augmentation, check_data
    from cplearn_solo.data.fingerprint import describe_change
    from cplearn_solo.data.image_set import IMAGENET_MEAN, IMAGENET_STD, FileSet, ImageSet, MemorySet, sampled
    from cplearn_solo.data.loaders import MemoryLoader, eval_loader, train_loader
    from cplearn_solo.data.lost_classes import tell_lost_classes
    from cplearn_solo.data.order import EpochSampler, step_generator
    from cplearn_solo.data.schema import KNOWN_IMAGES, Augmentation, DataConfig
    from cplearn_solo.data.sources import DATASETS
    from cplearn_solo.data.splits import Splits, load_splits
    from cplearn_solo.data.statistics import NORMALISATION

__getattr__, __all__ = lazy_imports(__file__)
