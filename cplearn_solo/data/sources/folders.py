"""The user's own images: folders, lists and archives, one or several."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np

from cplearn_solo.core.errors import require
from cplearn_solo.data.decoding.source import as_text
from cplearn_solo.data.image_set import FileSet
from cplearn_solo.data.index import Index, joined
from cplearn_solo.data.notes import counted
from cplearn_solo.data.schema import DataConfig
from cplearn_solo.data.sources import DATASETS
from cplearn_solo.data.sources.archives import ARCHIVES, is_archive, read_archives
from cplearn_solo.data.sources.class_folders import require_filled
from cplearn_solo.data.sources.labels import Labels, joined_labels, unlabelled
from cplearn_solo.data.sources.listing import Listing, tell_ignored
from cplearn_solo.data.sources.lists import LISTS, read_list
from cplearn_solo.data.sources.no_labels import all_labelled, require_labels
from cplearn_solo.data.sources.pair import paired
from cplearn_solo.data.sources.places import places

READ = "a folder, a list (.csv, .tsv), or an archive (.zip, .tar) of images"


@DATASETS.register("imagenet100")
@DATASETS.register("imagenet")
@DATASETS.register("custom")
def custom(cfg: DataConfig, with_test: bool) -> tuple[FileSet, FileSet | None]:
    """One folder per class (the sorted names are the labels), or with ``no_labels`` any images below the folder.

    Archives are read as folders, or as WebDataset shards; lists name files and labels.
    """
    train = _read(cfg, cfg.train_path, "data.train_path", labelled=not cfg.no_labels)
    with_test = with_test and cfg.val_path is not None
    return paired(train, _read(cfg, cfg.val_path, "data.val_path", labelled=True) if with_test else None, cfg)


def _read(cfg: DataConfig, value: str | list[str] | None, key: str, *, labelled: bool) -> tuple[Index, Labels]:
    groups = ((packed, list(group)) for packed, group in groupby(places(value, key), is_archive))
    reads = [read for packed, group in groups for read in _reads(packed, group, cfg, key, labelled)]
    found = all_labelled(reads)
    parts = [labels for _, labels in found]
    alike = len({bool(labels.names) for labels in parts if (labels.values >= 0).any()}) < 2
    require(alike, key, value, "images whose labels are all names of classes, or all numbers")
    return joined([index for index, _ in found]), joined_labels(parts)


def _reads(
    packed: bool, found: list[Path], cfg: DataConfig, key: str, labelled: bool
) -> list[Callable[[], tuple[Index, Labels]]]:
    """What reads archives together, as they may be the shards of one set, and folders and lists one by one."""
    if packed:
        return [partial(read_archives, found, key, labelled=labelled)]
    return [partial(_read_place, place, cfg, key, labelled) for place in found]


def _read_place(place: Path, cfg: DataConfig, key: str, labelled: bool) -> tuple[Index, Labels]:
    if place.is_dir():
        return _read_folder(place, key, labelled)
    parquet = place.suffix.lower() == ".parquet"
    wanted = "read with data.dataset=parquet" if parquet else READ
    require(place.suffix.lower() in LISTS, key, str(place), wanted)
    return read_list(place, cfg, key, labelled=labelled)


def _read_folder(root: Path, key: str, labelled: bool) -> tuple[Index, Labels]:
    listing = Listing(root, key)
    if not labelled:
        listing.add()
        labels = unlabelled(len(listing))
    else:
        names, folders = listing.scan()
        classes = tuple(name for name in names if name in folders)
        unless = ", or set data.no_labels=true" if key == "data.train_path" else ""
        require_labels(len(classes) > 0, key, str(root), f"a folder of class folders{unless}", likely=False)
        listing.ignored.update({"outside the class folders": len(names) - len(classes)})
        ends = [listing.add(name) for name in classes]
        counts = np.diff(ends, prepend=0)
        labels = Labels(np.repeat(np.arange(len(classes)), counts), tuple(map(as_text, classes)))
    found = f", and it holds {counted(listing.ignored)}" if listing.ignored else ""
    packed = [f"; {root}/*{ending} reads them" for ending in ARCHIVES if any(root.glob(f"*{ending}"))]
    require(len(listing) > 0, key, str(root), f"a folder with images{found}{''.join(packed)}")
    if labelled:
        empty = [name for name, count in zip(classes, counts) if not count]
        require_filled(empty, key, root, "a folder")
    tell_ignored(root, listing.ignored)
    return listing.files(), labels
