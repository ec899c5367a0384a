"""Images and labels in the columns of an Arrow table."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cplearn_solo.core.errors import require, some
from cplearn_solo.data.decoding import EncodedImage
from cplearn_solo.data.index import PIECE, Files, Index, Names
from cplearn_solo.data.schema import DataConfig
from cplearn_solo.data.sources.labels import MOST_CLASSES, Labels, from_words, tell_absent, unlabelled
from cplearn_solo.data.sources.no_labels import require_labels
from cplearn_solo.data.sources.parts import part_of, parts_among

COARSE = "coarse_label"  # CIFAR-100's second column of labels


class Rows(Index):
    """Encoded images in a column of bytes, which stay in Arrow's memory until they are requested."""

    def __init__(self, column: pa.ChunkedArray, place: str) -> None:
        self.column, self.place = column, place
        self.sizes = pc.fill_null(pc.binary_length(column), 0).to_numpy().astype(np.int64)

    def __getitem__(self, i: int) -> EncodedImage:
        return EncodedImage(self.content(i), f"row {i} of {self.place}")

    def key(self, i: int) -> bytes:
        """Rows have no name; their size and some of their bytes replace it."""
        return self.sizes[i].tobytes() + self.piece(i)

    def content(self, i: int) -> bytes:
        return self.column[i].as_py() or b""

    def piece(self, i: int) -> bytes:
        buffer = self.column[i].as_buffer()
        return buffer[len(buffer) // 2 :][:PIECE].to_pybytes() if buffer else b""

    def known_by(self) -> Iterable[np.ndarray]:
        return ()


def wanted_columns(schema: pa.Schema, cfg: DataConfig, origin: object, *, labelled: bool) -> tuple[str, str | None]:
    """The columns of images and, if ``labelled``, of labels.

    If a key has its default and there is no column of that name, the column is found by its type. Raises
    ``InputError`` if no column fits, or several; ``NoLabels`` if that is so of labels alone.
    """
    features, names = _features(schema), schema.names
    images = [name for name in names if _type(features, name) == "Image"]
    images = images or [name for name in names if _holds_bytes(schema.field(name).type)]
    image = _column("image_column", cfg.image_column, images, names)
    wanted = f"a column of {origin}: {some(names)}"
    require(image is not None, "data.image_column", cfg.image_column, wanted)
    if not labelled:
        return image, None
    labels = [name for name in names if _type(features, name) == "ClassLabel" and name != COARSE]
    labels = [name for name in labels if not parts_among(set(class_names(schema, name)))]
    label = _column("label_column", cfg.label_column, labels, names)
    require_labels(label is not None, "data.label_column", cfg.label_column, wanted, likely=len(names) > 1)
    require(image != label, "data.image_column", cfg.image_column, "another column than data.label_column")
    return image, label


def image_index(table: pa.Table, name: str, origin: str, folder: Path) -> Index:
    """The images of a column: bytes, or paths from ``folder``; ``InputError`` for other types."""
    column = table[name]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0:
        inner = pc.struct_field(column, "bytes")
        by_path = column.type.get_field_index("path") >= 0 and len(inner) == inner.null_count > 0
        paths = pc.struct_field(column, "path") if by_path else None
        column = paths if by_path and paths.null_count == 0 else inner
    if holds_text(column.type):
        return _files(column, name, origin, folder)
    if pa.types.is_null(column.type):
        column = column.cast(pa.binary())
    wanted = f"a column of binary or struct<bytes: binary, path>, or of paths, and in {origin} it is {column.type}"
    require(is_binary(column.type), "data.image_column", name, wanted)
    return Rows(column, origin)


def column_labels(table: pa.Table, name: str, origin: object) -> Labels:
    """Labels from integers, whole floats, booleans or words. Null and NaN are no label; if classes have names, nor is
    -1."""
    column, kind = table[name], table[name].type
    names = class_names(table.schema, name)
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_null(kind):
        return unlabelled(len(column))
    if holds_text(kind):
        labels = from_words(column.to_pylist(), numbers=False)
        tell_absent(labels, f"column {name}", "null")
        return labels
    if pa.types.is_boolean(kind):
        names = names or ("false", "true")
        column = column.cast(pa.int8())
    elif pa.types.is_floating(kind):
        column = column.cast(pa.float64())
        column = pc.if_else(pc.is_nan(column), None, column)
        whole = pc.all(pc.equal(column, pc.floor(column))).as_py() is not False
        require(whole, "data.label_column", name, f"a column of whole numbers, and {origin} holds fractions")
    else:
        wanted = f"a column of integers, whole floats, booleans or strings, and in {origin} it is {kind}"
        require(pa.types.is_integer(kind), "data.label_column", name, wanted)
    lowest, highest = pc.min_max(column).as_py().values()
    fits = lowest is None or lowest >= (-1 if names else 0)
    require(fits, "data.label_column", name, f"a column of labels from 0 up, and {origin} holds {lowest}")
    most = len(names) or MOST_CLASSES
    wanted = f"a column of labels from 0 to {most - 1}, and {origin} holds {highest}"
    require(highest is None or highest < most, "data.label_column", name, wanted)
    return Labels(pc.fill_null(column.cast(pa.int64()), -1).to_numpy(), names)


def class_names(schema: pa.Schema, name: str) -> tuple[str, ...]:
    """The names of the classes that a column of the hub has numbers for."""
    return tuple(_features(schema).get(name, {}).get("names", ()))


def words_of_parts(pieces: Iterable[pa.Array]) -> set[str]:
    """The words in a column of text, empty as soon as one is no name of a part of a data set."""
    words: set[str] = set()
    for piece in pieces:
        words.update(piece.unique().drop_null().to_pylist())
        if not all(part_of(word, whole=True) for word in words):
            return set()
    return words


def holds_text(kind: pa.DataType) -> bool:
    """Whether a column of that type holds text, in a dictionary or not."""
    if pa.types.is_dictionary(kind):
        return holds_text(kind.value_type)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _column(key: str, name: str, fitting: list[str], names: list[str]) -> str | None:
    if name in names:
        return name
    return fitting[0] if name == getattr(DataConfig, key) and len(fitting) == 1 else None


def _features(schema: pa.Schema) -> dict[str, Any]:
    """The columns as the Hugging Face hub describes them, if it does."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    return {name: feature for name, feature in features.items() if isinstance(feature, dict)}


def _type(features: dict[str, Any], name: str) -> str | None:
    return features.get(name, {}).get("_type")


def is_binary(kind: pa.DataType) -> bool:
    """Whether a column of that type holds bytes."""
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _holds_bytes(kind: pa.DataType) -> bool:
    return is_binary(kind) or (pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0)


def _files(column: pa.ChunkedArray, name: str, origin: str, folder: Path) -> Files:
    paths = column.to_pylist()
    absent = [path for path in paths if not path or not os.path.isfile(folder / path)]
    wanted = f"a column of images or of their paths from {folder}, and {len(absent)} of {len(paths)} are not there"
    require(not absent, "data.image_column", name, wanted)
    sizes = np.fromiter((os.stat(folder / path).st_size for path in paths), np.int64, len(paths))
    return Files(str(folder), Names.of(map(os.fsencode, paths)), sizes)
