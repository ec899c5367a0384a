"""Parquet files of encoded images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from cplearn_solo.core.errors import InputError, require
from cplearn_solo.data.decoding import EncodedImage
from cplearn_solo.data.image_set import FileSet
from cplearn_solo.data.schema import DataConfig
from cplearn_solo.data.sources import DATASETS, existing_path


@DATASETS.register("parquet")
def parquet(cfg: DataConfig, with_test: bool) -> tuple[FileSet, FileSet | None]:
    """Encoded images and labels of parquet files in the Hugging Face layout, or with a column of plain bytes."""
    train, names = _read(cfg, cfg.train_path, "data.train_path")
    num_classes = 0 if cfg.no_labels else len(names) or int(train.labels.max()) + 1
    train = _with_classes(train, num_classes, names, cfg, cfg.train_path)
    if not with_test or cfg.val_path is None:
        return train, None
    test, _ = _read(cfg, cfg.val_path, "data.val_path")
    return train, _with_classes(test, num_classes, names, cfg, cfg.val_path)


def _read(cfg: DataConfig, path: str | None, key: str) -> tuple[FileSet, tuple[str, ...]]:
    """The images of a file or of a folder of files, and the class names if the files know them."""
    root = existing_path(path, key)
    if not cfg.no_labels:
        differ = cfg.image_column != cfg.label_column
        require(differ, "data.image_column", cfg.image_column, "another column than data.label_column")
    sources, labels, names = [], [], ()
    for file in sorted(root.glob("*.parquet")) if root.is_dir() else [root]:
        table = _table(file, cfg)
        for row, data in enumerate(_encoded_images(table, cfg.image_column, file)):
            sources.append(EncodedImage(data, f"row {row} of {file}"))
        if cfg.no_labels:
            labels += [-1] * len(table)
        else:
            labels += _labels(table, cfg.label_column, file)
            names = names or _class_names(table.schema, cfg.label_column)
    require(len(sources) > 0, key, path, "parquet files with rows")
    return FileSet(sources, torch.tensor(labels), 0), names


def _table(file: Path, cfg: DataConfig) -> pa.Table:
    """The columns that are asked for."""
    wanted = {"data.image_column": cfg.image_column}
    if not cfg.no_labels:
        wanted["data.label_column"] = cfg.label_column
    try:
        columns = pq.read_schema(file).names
        for key, column in wanted.items():
            require(column in columns, key, column, f"a column of {file}: {', '.join(columns)}")
        return pq.read_table(file, columns=list(wanted.values()))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"unreadable parquet file {file}: {str(error).partition(chr(10))[0]}") from error


def _encoded_images(table: pa.Table, name: str, file: Path) -> list[bytes | None]:
    column = table[name]
    kind = column.type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        return pc.struct_field(column, "bytes").to_pylist()
    wanted = f"a column of binary or struct<bytes: binary, path>, and in {file} it is {kind}"
    require(pa.types.is_binary(kind) or pa.types.is_large_binary(kind), "data.image_column", name, wanted)
    return column.to_pylist()


def _labels(table: pa.Table, name: str, file: Path) -> list[int]:
    """Labels, with -1 for null: no label."""
    column = table[name]
    wanted = f"a column of integers, and in {file} it is {column.type}"
    require(pa.types.is_integer(column.type), "data.label_column", name, wanted)
    if column.null_count < len(column):
        lowest = pc.min(column).as_py()
        require(lowest >= 0, "data.label_column", name, f"a column of labels from 0 up, and {file} holds {lowest}")
    return column.fill_null(-1).to_pylist()


def _class_names(schema: pa.Schema, column: str) -> tuple[str, ...]:
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(features[column]["names"])
    except (KeyError, TypeError, ValueError):
        return ()


def _with_classes(images: FileSet, num_classes: int, names: tuple[str, ...], cfg: DataConfig, path: str) -> FileSet:
    highest = int(images.labels.max())
    wanted = f"a column of labels from 0 to {num_classes - 1}, and {path} holds {highest}"
    require(highest < num_classes, "data.label_column", cfg.label_column, wanted)
    return replace(images, num_classes=num_classes, classes=names)
