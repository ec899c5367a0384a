"""Tables of representations as files that other programs read, written shard by shard.

A table has the columns ``file``, ``representation`` (lists of equal length) and, for methods with codes, ``code`` and
``confidence``.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.lib import format as npy

from cplearn_solo.core.errors import InputError, require
from cplearn_solo.core.files import whole_file
from cplearn_solo.data.sources.written import ABOUT

X = "representation"
# names in .npz, which are those that a collapse report reads
NPZ = {"file": "file", X: "features", "code": "codes", "confidence": "confidence"}


def check_index(file: str | Path) -> None:
    """Raises ``InputError`` unless it is a file of ``cplearn embed`` and faiss is there to search it."""
    try:
        with pa.OSFile(os.fsencode(file)) as opened:
            metadata = pq.read_schema(opened).metadata or {}
    except (OSError, pa.ArrowInvalid):
        metadata = {}
    wanted = "a .parquet that cplearn embed wrote"
    require(ABOUT in metadata and "space" in json.loads(metadata[ABOUT]), "INDEX", str(file), wanted)
    if find_spec("faiss") is None:
        raise InputError("search needs faiss: pip install 'cplearn-solo[search]'")


def companion(target: Path) -> Path | None:
    """The file that is written beside ``target``, if any: a .csv beside .npy, which holds only numbers."""
    return target.with_suffix(".csv") if target.suffix == ".npy" else None


def write_parquet(target: Path, shards: Iterable[pa.Table]) -> None:
    """One row group per shard."""
    with whole_file(target) as file, _sink(file) as out, ExitStack() as stack:
        writer = None
        for table in shards:
            if writer is None:
                schema = table.schema.with_metadata({ABOUT: table.schema.metadata[ABOUT]})
                writer = stack.enter_context(pq.ParquetWriter(out, schema, use_dictionary=False))
            writer.write_table(table)


def write_csv(target: Path, shards: Iterable[pa.Table]) -> None:
    """Columns file, code, confidence, and x0, x1, ... where the shards have representations."""
    with whole_file(target) as file, _sink(file) as out, ExitStack() as stack:
        writer = None
        for table in map(_flat, shards):
            writer = writer or stack.enter_context(pacsv.CSVWriter(out, table.schema))
            writer.write_table(table)


def write_npy(target: Path, shards: Iterable[pa.Table]) -> None:
    """An array (n, d), and beside it a .csv of all other columns."""
    write_csv(companion(target), (table.drop_columns(X) for table in shards))
    with whole_file(target) as file, file.open("wb") as out:
        _write_column(out, shards, X)


def write_npz(target: Path, shards: Iterable[pa.Table]) -> None:
    """Arrays file (n,), features (n, d), codes (n,) and confidence (n,)."""
    names = next(iter(shards)).column_names
    with whole_file(target) as file, zipfile.ZipFile(file, "w") as archive:
        for name in names:
            member = zipfile.ZipInfo(f"{NPZ[name]}.npy")  # dated 1980, so that equal arrays are equal files
            with archive.open(member, "w", force_zip64=True) as out:
                _write_column(out, shards, name)


WRITERS: dict[str, Callable[[Path, Iterable[pa.Table]], None]] = {
    ".parquet": write_parquet,
    ".npz": write_npz,
    ".npy": write_npy,
    ".csv": write_csv,
}


def as_array(column: pa.ChunkedArray) -> np.ndarray:
    """``(n,)`` numbers or strings, or ``(n, d)`` numbers of a column of lists."""
    if pa.types.is_fixed_size_list(column.type):
        return column.combine_chunks().flatten().to_numpy().reshape(len(column), column.type.list_size)
    return np.array(column.to_pylist(), np.str_) if pa.types.is_string(column.type) else column.to_numpy()


def as_column(values: np.ndarray) -> pa.Array:
    """A column of lists from ``(n, d)`` numbers."""
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def _sink(file: Path) -> pa.NativeFile:
    """``file``, opened for writing; Arrow takes names that are no UTF-8 only as bytes."""
    return pa.OSFile(os.fsencode(file), "wb")


def _write_column(out: IO[bytes], shards: Iterable[pa.Table], name: str) -> None:
    """Writes a column of all shards as one .npy."""
    found = [(array.shape, array.dtype) for array in (as_array(table[name]) for table in shards)]
    shape = (sum(rows for (rows, *_), _ in found), *found[0][0][1:])
    kind = np.result_type(*(dtype for _, dtype in found))  # for strings the type of the longest
    npy.write_array_header_1_0(out, {"descr": npy.dtype_to_descr(kind), "fortran_order": False, "shape": shape})
    for table in shards:
        out.write(as_array(table[name]).astype(kind, copy=False).tobytes())


def _flat(table: pa.Table) -> pa.Table:
    """Numbers of a list as columns of their own, in float32 where they are float16, which Arrow does not print."""
    if X not in table.column_names:
        return table
    x = as_array(table[X])
    x = x.astype(np.float32) if x.dtype == np.float16 else x
    flat = table.drop_columns(X)
    for i in range(x.shape[1]):
        flat = flat.append_column(f"x{i}", pa.array(x[:, i]))
    return flat
