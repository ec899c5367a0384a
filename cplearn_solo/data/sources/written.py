"""Parquet files that this program has written about images: they may lie in the same folder, but hold no images."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

ABOUT = b"cplearn_solo"  # in the metadata of such a table, the key of its description in JSON


def is_written(file: Path) -> bool:
    """Whether ``cplearn embed`` or ``predict`` wrote a file that ends in .parquet."""
    import pyarrow as pa  # only if a folder has such files
    import pyarrow.parquet as pq

    # errors are reported when the file is read; Arrow takes names that are no UTF-8 only as bytes
    with suppress(OSError, pa.ArrowException), pa.OSFile(os.fsencode(file)) as opened:
        return ABOUT in (pq.read_schema(opened).metadata or {})
    return False
