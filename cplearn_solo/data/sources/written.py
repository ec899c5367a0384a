"""Parquet files that this program has written of images, which may lie beside these and are no images themselves."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

ABOUT = b"cplearn_solo"  # in the metadata of such a table: what it is of, in JSON


def is_written(file: Path) -> bool:
    """Whether a file that ends in .parquet is of ``cplearn embed`` or ``predict``."""
    import pyarrow as pa  # where a folder has such files
    import pyarrow.parquet as pq

    with suppress(OSError, pa.ArrowException):  # whoever reads it says what is wrong
        return ABOUT in (pq.read_schema(file).metadata or {})
    return False
