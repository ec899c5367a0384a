"""Parquet files of encoded images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cplearn_solo.core.errors import InputError, reason_of, require, some
from cplearn_solo.core.files import folders_below
from cplearn_solo.data.decoding.source import require_fetched
from cplearn_solo.data.image_set import FileSet
from cplearn_solo.data.notes import say_once
from cplearn_solo.data.schema import DataConfig
from cplearn_solo.data.sources import DATASETS
from cplearn_solo.data.sources.columns import words_of_parts
from cplearn_solo.data.sources.in_order import RowsInOrder, pieces, rows_in_order
from cplearn_solo.data.sources.listing import is_hidden
from cplearn_solo.data.sources.parts import part_of
from cplearn_solo.data.sources.places import places
from cplearn_solo.data.sources.shards import Parts, Shard, from_shards
from cplearn_solo.data.sources.written import is_written

READ_AT_ONCE = 1024  # words of a column


@DATASETS.register("parquet")
def parquet(cfg: DataConfig, with_test: bool) -> tuple[FileSet, FileSet | None]:
    """Encoded images and labels of parquet files in the Hugging Face layout, or with a column of plain bytes.

    The names of files in a folder say which part they belong to, such as train-00000-of-00002.parquet; files that are
    given by name are all read.
    """
    return from_shards(parquet_parts, cfg, with_test)


def folder_parts(root: Path, key: str) -> Parts:
    """The parquet files directly in a folder, by part; if there are none, those in its subfolders.

    Raises ``InputError`` if there are none at all, or files of several data sets.
    """
    here = sorted(filter(_of_images, root.glob("[!.]*.parquet")))
    files = here or sorted(file for file in _below(root) if not any(map(is_hidden, file.relative_to(root).parts)))
    require(len(files) > 0, key, str(root), "parquet files with rows")
    parts: dict[str | None, list[Path]] = {}
    subsets = set()
    for file in files:
        part, subset = _part_and_subset(file.relative_to(root))
        parts.setdefault(part, []).append(file)
        if part:
            subsets.add(subset)
    wanted = f"one of the data sets in it: {some(sorted(map(str, subsets)))}"
    require(len(subsets) < 2, key, str(root), wanted)
    if len(parts) > 1 and None in parts:
        say_once(f"ignored in {root}: {len(parts.pop(None))} .parquet of no part")
    return {part: [_shard(file) for file in files] for part, files in parts.items()}


def _below(root: Path) -> Iterator[Path]:
    files = (place / name for place, names in folders_below(root) for name in names if name.endswith(".parquet"))
    return filter(_of_images, files)


def _of_images(path: Path) -> bool:
    return path.is_file() and not is_written(path)


def parquet_parts(value: str | list[str] | None, key: str) -> Parts:
    parts: dict[str | None, list[Shard]] = {}
    for place in places(value, key):
        found = folder_parts(place, key) if place.is_dir() else {None: [_shard(place)]}
        for part, shards in found.items():
            parts.setdefault(part, []).extend(shards)
    return parts


def _part_and_subset(file: Path) -> tuple[str | None, Path]:
    """The part that a file belongs to, by its own name or else its folders', and the folder of the whole data set."""
    if part := part_of(file.stem):
        return part, file.parent
    named = [folder for folder in file.parents if part_of(folder.name)]  # innermost first
    return (part_of(named[0].name), named[-1].parent) if named else (None, file.parent)


def _shard(file: Path) -> Shard:
    require_fetched(file)
    schema = _readable(file, lambda: pq.read_schema(file))
    readers = [partial(read, file) for read in (_read, _words, _read_in_order)]
    return Shard(str(file), file.parent, schema, *readers)


def _read(file: Path, columns: list[str]) -> pa.Table:
    return _readable(file, lambda: pq.read_table(file, columns=columns))


def _words(file: Path, column: str) -> set[str]:
    return _readable(file, lambda: words_of_parts(pieces(str(file), column, READ_AT_ONCE)))


def _read_in_order(file: Path, column: str) -> RowsInOrder | None:
    return _readable(file, lambda: rows_in_order(file, column))


def _readable(file: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (pa.ArrowException, OSError, UnicodeEncodeError) as error:  # the last one if its path is no UTF-8
        raise InputError(f"unreadable parquet file {file}: {reason_of(error)}") from error
