"""Where images come from: a function for each data set, in a file that is imported when its name is looked up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cplearn_solo.core.registry import Registry

if TYPE_CHECKING:
    from cplearn_solo.data.image_set import ImageSet
    from cplearn_solo.data.schema import DataConfig
    from cplearn_solo.data.sources.shards import PartsOf

    # (config, with_test) -> training images and, if requested and available, test images.
    Source = Callable[[DataConfig, bool], tuple[ImageSet, ImageSet | None]]

# The data sets of each file, with descriptions that can be listed without importing it.
FILES = {
    "arrays": {
        "digits": "scikit-learn's 1797 handwritten digits of 8x8 pixels; nothing to download",
        "cifar10": "torchvision's CIFAR10 with 10 classes, downloaded unless it is there",
        "cifar100": "torchvision's CIFAR100 with 100 classes, downloaded unless it is there",
        "svhn": "torchvision's SVHN with 10 classes, downloaded unless it is there",
        "stl10": "torchvision's STL10 with 10 classes, downloaded unless it is there",
    },
    "folders": {
        "custom": "images of your own: folders, lists, archives; one folder a class unless data.no_labels=true",
        "imagenet": "ImageNet's folders, read as those of custom",
        "imagenet100": "the folders of 100 classes of ImageNet, read as those of custom",
    },
    "hub": {"hub": "a data set of the Hugging Face hub by its name, owner/name"},
    "parquet": {"parquet": "images and labels of parquet files in the Hugging Face layout, or of plain bytes"},
}


def _importers() -> dict[str, Callable[[], Any]]:
    return {name: partial(import_module, f"{__package__}.{file}") for file, names in FILES.items() for name in names}


def images_in_order(cfg: DataConfig) -> ImageSet:
    """All training images of a source, in little memory if they are read in order."""
    parts_of = _parts_of(cfg.dataset)
    if parts_of is None:
        return DATASETS[cfg.dataset](cfg, False)[0]
    from cplearn_solo.data.sources.shards import in_order

    return in_order(parts_of, cfg)


def own_scored_part(cfg: DataConfig) -> str | None:
    """The labelled part of the data set that is scored if ``cfg`` names no other images; ``None`` if it has none."""
    parts_of = _parts_of(cfg.dataset)
    if parts_of is None:
        return None
    from cplearn_solo.data.sources.shards import scored_part

    return scored_part(parts_of, cfg)


def _parts_of(dataset: str) -> PartsOf | None:
    """The function that finds the parts of a data set in tables."""
    if dataset == "parquet":
        from cplearn_solo.data.sources.parquet import parquet_parts

        return parquet_parts
    if dataset == "hub":
        from cplearn_solo.data.sources.hub import hub_parts

        return hub_parts
    return None


DATASETS: Registry[Source] = Registry("data.dataset", find=_importers)
