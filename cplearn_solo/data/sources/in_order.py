"""Images of a parquet file for reading in order: only a few are held at a time, however many there are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cplearn_solo.data.index import Index
from cplearn_solo.data.sources.columns import Rows, is_binary

HELD = 64  # rows
READ = 1 << 20  # bytes of a column at once


class RowsInOrder(Rows):
    """Encoded images in a column of bytes.

    A step backwards, or to another row group, reads that row group from its beginning. Each process has its own
    position in the file.
    """

    def __init__(self, file: str, name: str, sizes: np.ndarray, ends: np.ndarray) -> None:
        self.place, self.name, self.sizes, self.ends = file, name, sizes, ends
        self._process = self._group = -1
        self._first, self._held = 0, _NOTHING  # number of the first held row, and the held rows
        self._following: Iterator[pa.Array] = iter(())

    def content(self, i: int) -> bytes:
        i = range(len(self))[i]
        if self._process != os.getpid() or not self._first <= i < self._first + len(self._held):
            self._go_to(i)
        return self._held[i - self._first].as_py() or b""

    def piece(self, i: int) -> bytes:
        return Index.piece(self, i)

    def _go_to(self, i: int) -> None:
        group = int(np.searchsorted(self.ends, i, side="right"))
        if (self._process, self._group) != (os.getpid(), group) or i < self._first:
            self._process, self._group = os.getpid(), group
            self._first, self._held = int(self.ends[group - 1]) if group else 0, _NOTHING
            self._following = pieces(self.place, self.name, HELD, [group])
        while i >= self._first + len(self._held):
            self._first += len(self._held)
            self._held = next(self._following)

    def __reduce__(self) -> tuple[Any, ...]:
        return RowsInOrder, (self.place, self.name, self.sizes, self.ends)


def rows_in_order(file: Path, name: str) -> RowsInOrder | None:
    """The rows of a file, which is read once to know their sizes; ``None`` if the column holds no bytes."""
    with pq.ParquetFile(file) as parquet:
        kind = parquet.schema_arrow.field(name).type
        groups = [parquet.metadata.row_group(i).num_rows for i in range(parquet.metadata.num_row_groups)]
    inner = kind.field("bytes").type if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 else kind
    if not is_binary(inner):
        return None
    sizes = [pc.fill_null(pc.binary_length(part), 0).to_numpy() for part in pieces(str(file), name, HELD)]
    total = np.concatenate(sizes).astype(np.int64) if sizes else np.zeros(0, np.int64)
    return RowsInOrder(str(file), name, total, np.cumsum(groups)) if total.any() else None


def pieces(file: str, name: str, rows: int, groups: Sequence[int] | None = None) -> Iterator[pa.Array]:
    """Yields a column, of images the bytes, some ``rows`` at a time."""
    with pq.ParquetFile(file, buffer_size=READ, pre_buffer=False) as parquet:
        for batch in parquet.iter_batches(rows, row_groups=groups, columns=[name], use_threads=False):
            (column,) = batch.columns
            yield pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column


_NOTHING = pa.array([], pa.binary())
