"""Where images come from: a function for each data set, in a file that is imported when its name is looked up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from cplearn_solo.core.registry import Registry

if TYPE_CHECKING:
    from cplearn_solo.data.image_set import ImageSet
    from cplearn_solo.data.schema import DataConfig

    # (config, with_test) -> training images and, if asked for and there, test images.
    Source = Callable[[DataConfig, bool], tuple[ImageSet, ImageSet | None]]

FILES = {
    "arrays": ("digits", "cifar10", "cifar100", "svhn", "stl10"),
    "folders": ("custom", "imagenet", "imagenet100"),
    "hub": ("hub",),
    "parquet": ("parquet",),
}


def _importers() -> dict[str, Callable[[], None]]:
    return {name: partial(_import, f"{__package__}.{file}") for file, names in FILES.items() for name in names}


def _import(module: str) -> None:
    import_module(module)  # which registers its data sets


DATASETS: Registry[Source] = Registry("data.dataset", find=_importers)
