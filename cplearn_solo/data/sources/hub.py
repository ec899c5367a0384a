"""Data sets of the Hugging Face hub, from its cache or the network."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa

from cplearn_solo.core.errors import InputError, reason_of, require
from cplearn_solo.data.image_set import FileSet
from cplearn_solo.data.schema import DataConfig
from cplearn_solo.data.sources import DATASETS
from cplearn_solo.data.sources.columns import words_of_parts
from cplearn_solo.data.sources.parquet import folder_parts
from cplearn_solo.data.sources.parts import part_of
from cplearn_solo.data.sources.shards import Parts, Shard, from_shards


@DATASETS.register("hub")
def hub(cfg: DataConfig, with_test: bool) -> tuple[FileSet, FileSet | None]:
    """``train_path`` is the name of a data set, owner/name; ``val_path`` is null, or another one to score on.

    If the library ``datasets`` is installed (``pip install cplearn-solo[hub]``), it reads any layout, and images stay
    in files that are mapped into memory. Without it, data sets of parquet files are read like a folder of such files.
    """
    return from_shards(hub_parts, cfg, with_test)


def hub_parts(name: str | list[str] | None, key: str) -> Parts:
    require(isinstance(name, str), key, name, "the name of a data set on the hub, owner/name")
    # a folder named datasets, such as that of downloads, passes for a package, but one without an origin
    library = getattr(find_spec("datasets"), "origin", None) is not None
    try:
        return _by_library(name) if library else folder_parts(_downloaded(name), key)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        there = "a file or folder that exists, or a data set of the hub, in its cache or within reach"
        why = reason_of(error).rstrip(".")
        require(False, key, name, f"{there} ({why}); or give a folder of its parquet files")


def _downloaded(name: str) -> Path:
    """The folder of a data set's parquet files, which are fetched unless they are there."""
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(name, repo_type="dataset", allow_patterns="*.parquet"))


def _by_library(name: str) -> Parts:
    from datasets import load_dataset

    parts: dict[str | None, list[Shard]] = {}
    for part, images in load_dataset(name).items():
        table = images.data.table.replace_schema_metadata(images.features.arrow_schema.metadata)
        words = partial(_words, table)
        shard = Shard(f"{part} of {name}", Path(), table.schema, table.select, words)
        parts.setdefault(part_of(part, whole=True) or part, []).append(shard)
    return parts


def _words(table: pa.Table, column: str) -> set[str]:
    return words_of_parts(table[column].chunks)
