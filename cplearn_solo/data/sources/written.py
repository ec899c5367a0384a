"""Parquet files that this program has written of images, which may lie beside these and are no images themselves."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

ABOUT = b"cplearn_solo"  # in the metadata of such a table: what it is of, in JSON


def is_written(file: Path) -> bool:
    """Whether a file that ends in .parquet is of ``cplearn embed`` or ``predict``."""
    import pyarrow as pa  # where a folder has such files
    import pyarrow.parquet as pq

    # whoever reads it says what is wrong; Arrow takes names that are no UTF-8 as bytes only
    with suppress(OSError, pa.ArrowException), pa.OSFile(os.fsencode(file)) as opened:
        return ABOUT in (pq.read_schema(opened).metadata or {})
    return False
