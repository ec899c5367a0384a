"""Tables of images in several pieces, which belong to the parts of a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from cplearn_solo.core.errors import InputError, require, some
from cplearn_solo.data.image_set import FileSet
from cplearn_solo.data.index import Index, joined
from cplearn_solo.data.notes import say_once
from cplearn_solo.data.schema import DataConfig
from cplearn_solo.data.sources.columns import class_names, column_labels, holds_text, image_index, wanted_columns
from cplearn_solo.data.sources.labels import Labels, joined_labels, unlabelled
from cplearn_solo.data.sources.no_labels import all_labelled
from cplearn_solo.data.sources.pair import paired
from cplearn_solo.data.sources.parts import parts_among, tell_one_part

SCORED = ("validation", "test")  # the first one that is there is scored


@dataclass(frozen=True)
class Shard:
    """A table: ``origin`` names it in messages, paths in it start at ``folder``, ``read`` takes names of columns.

    ``words`` gives :func:`words_of_parts` of a column, ``in_order`` the images of one for reading in order, in little
    memory, or ``None`` if it cannot.
    """

    origin: str
    folder: Path
    schema: pa.Schema
    read: Callable[[list[str]], pa.Table]
    words: Callable[[str], set[str]]
    in_order: Callable[[str], Index | None] = lambda column: None


# Shards by the part they belong to: train, validation, test, or None if unknown.
Parts = Mapping[str | None, Sequence[Shard]]
PartsOf = Callable[[str | list[str] | None, str], Parts]


def in_order(parts_of: PartsOf, cfg: DataConfig) -> FileSet:
    """The training images, for reading in order."""
    shards = _of_part(parts_of(cfg.train_path, "data.train_path"), ("train",), "data.train_path", cfg.train_path)
    return paired(_read(shards, cfg, labelled=not cfg.no_labels, in_order=True), None, cfg)[0]


def from_shards(parts_of: PartsOf, cfg: DataConfig, with_test: bool) -> tuple[FileSet, FileSet | None]:
    """Training images and scored ones; ``parts_of`` takes the value of a path in the configuration and its key.

    Without ``val_path`` the validation part of ``train_path`` is scored, or its test part if there is none.
    """
    here = parts_of(cfg.train_path, "data.train_path")
    train = _read(_of_part(here, ("train",), "data.train_path", cfg.train_path), cfg, labelled=not cfg.no_labels)
    scored: Sequence[Shard] = ()
    if with_test and cfg.val_path is not None:
        scored = _of_part(parts_of(cfg.val_path, "data.val_path"), SCORED, "data.val_path", cfg.val_path)
    elif with_test and not cfg.no_labels and (part := _scored(here)):
        say_once(f"scored on the {part} part of {cfg.train_path}; data.val_path names another")
        scored = here[part]
    return paired(train, _read(scored, cfg, labelled=True) if scored else None, cfg)


def scored_part(parts_of: PartsOf, cfg: DataConfig) -> str | None:
    """The part of ``train_path`` that is scored if no other images are named; ``None`` if it has no labels."""
    parts = parts_of(cfg.train_path, "data.train_path")
    part = _scored(parts)
    with suppress(InputError):
        for shard in parts.get(part, ()) if part else ():
            _, label = wanted_columns(shard.schema, cfg, shard.origin, labelled=True)
            if label and (column_labels(shard.read([label]), label, shard.origin).values >= 0).any():
                return part
    return None


def _scored(parts: Parts) -> str | None:
    return next((part for part in SCORED if part in parts), None)


def _of_part(parts: Parts, wanted: tuple[str, ...], key: str, value: object) -> Sequence[Shard]:
    """The shards of the first of the ``wanted`` parts that exists, and the shards without a part."""
    part = next((part for part in wanted if part in parts), None)
    shards = [*(parts[part] if part else ()), *parts.get(None, ())]
    found = ", ".join(sorted(filter(None, parts)))
    require(len(shards) > 0, key, value, f"data with a part named {' or '.join(wanted)}, and it has {found}")
    return shards


def _read(shards: Sequence[Shard], cfg: DataConfig, *, labelled: bool, in_order: bool = False) -> tuple[Index, Labels]:
    columns = all_labelled(
        partial(wanted_columns, shard.schema, cfg, shard.origin, labelled=labelled) for shard in shards
    )
    indices, labels = [], []
    for shard, (image, label) in zip(shards, columns):
        index = shard.in_order(image) if in_order else None
        if index is None:
            index = image_index(shard.read([image]), image, shard.origin, shard.folder)
        indices.append(index)
        labels.append(column_labels(shard.read([label]), label, shard.origin) if label else unlabelled(len(index)))
    if not in_order:
        _tell_parts(shards, columns)
    return joined(indices), joined_labels(labels)


def _tell_parts(shards: Sequence[Shard], read: Sequence[tuple[str, str | None]]) -> None:
    """Prints once that all rows are read if a column, other than those that are ``read``, names parts of a data set."""
    words: dict[str, set[str]] = {}
    for shard, taken in zip(shards, read):
        for field in (field for field in shard.schema if field.name not in taken):
            found = shard.words(field.name) if holds_text(field.type) else class_names(shard.schema, field.name)
            words.setdefault(field.name, set()).update(found)
    for name, found in words.items():
        tell_one_part(some([shard.origin for shard in shards], 2), name, parts_among(found), "file")
