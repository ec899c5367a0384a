"""Finds the images of an index that are nearest to others, by exact search: Hamming distance of bits, or cosine."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from cplearn_solo.code_algebra import bundle
from cplearn_solo.core.errors import require
from cplearn_solo.data import FileSet, ImageSet
from cplearn_solo.data.decoding import Decoding
from cplearn_solo.data.sources.written import ABOUT
from cplearn_solo.inference.embed import embedding_columns
from cplearn_solo.inference.formats import X, as_array, check_index
from cplearn_solo.inference.pretrained import Pretrained
from cplearn_solo.inference.rows import representations, run_hash

BITS = "bits"


class Found(NamedTuple):
    """For each of m queries the k nearest ``rows`` of an index, nearest first, ``(m, k)``, and their ``nearness``:
    Hamming distances or cosines."""

    rows: np.ndarray
    nearness: np.ndarray


class Index:
    """A file that ``cplearn embed`` wrote of n images, for search; cosines are taken around the mean of its rows.

    ``files`` are their names, ``space`` is the space of the rows, ``decoding`` says how the images were read if they
    were files. Raises ``InputError`` for another file, and if faiss is not installed.
    """

    def __init__(self, file: str | Path) -> None:
        check_index(file)
        import faiss

        with pa.OSFile(os.fsencode(file)) as opened:
            table = pq.read_table(opened, columns=["file", X])
        about = json.loads(table.schema.metadata[ABOUT])
        self.place, self.run, self.space = str(file), about["run"], about["space"]
        decoding = about.get("decoding")
        self.decoding = Decoding.of_plain(decoding) if isinstance(decoding, dict) else None  # some have it as text
        self.files: pa.ChunkedArray = table["file"]
        x = as_array(table[X])
        if self.space == BITS:
            self._mean, self._index = None, faiss.IndexBinaryFlat(8 * x.shape[1])
            bits = np.arange(8 * x.shape[1])
            self._used = np.packbits(bits < about.get("f", len(bits)))  # the last byte may have unused bits
        else:
            x = x.astype(np.float32, copy=False)
            mean = x.mean(axis=0, dtype=np.float64)  # a float32 sum of millions of rows has a large error
            self._mean, self._index = mean.astype(np.float32), faiss.IndexFlatIP(x.shape[1])
            x = self._directions(x)
        self._index.add(x)

    def __len__(self) -> int:
        return len(self.files)

    def check_run(self, model: Pretrained) -> None:
        """Raises ``InputError`` for an index of another run or of another checkpoint."""
        same = self.run == run_hash(model)
        require(
            same, "INDEX", self.place, f"of {model.checkpoint}, it is of another run or of another time of this one"
        )

    def nearest(self, queries: np.ndarray, k: int) -> Found:
        """The ``k`` nearest rows, or all, for ``queries`` ``(m, width)``, which are rows like those of the index."""
        queries = queries if self._mean is None else self._directions(queries.astype(np.float32))
        nearness, rows = self._index.search(np.ascontiguousarray(queries), min(k, len(self)))
        return Found(rows, nearness)

    def together(self, wanted: np.ndarray, unwanted: np.ndarray) -> np.ndarray:
        """One query ``(1, width)`` for images like all rows ``wanted`` and unlike all rows ``unwanted``.

        It is the bundle of wanted bits and complements of unwanted ones, or the difference of the sums of directions.
        """
        if self._mean is None:
            return bundle(np.concatenate([wanted, ~unwanted]))[None] & self._used
        wanted, unwanted = (self._directions(x.astype(np.float32)).sum(axis=0) for x in (wanted, unwanted))
        return (wanted - unwanted + self._mean)[None]

    def _directions(self, x: np.ndarray) -> np.ndarray:
        centred = x - self._mean  # one copy, as an index may take half of all memory
        centred /= np.maximum(np.sqrt(np.einsum("nd,nd->n", centred, centred)), 1e-12)[:, None]
        return centred


@torch.no_grad()
def vectors(model: Pretrained, images: ImageSet, space: str, *, device: torch.device | str = "cpu") -> np.ndarray:
    """Rows ``(n, width)`` of ``images`` as an index of ``space`` holds them. Raises ``InputError`` for an unreadable
    image."""
    found = []
    for feats, bad in representations(model, images, 0, 256, 0, device):
        if bad and isinstance(images, FileSet):
            images.load(bad[0])
        found.append(as_array(pa.chunked_array(embedding_columns(model, feats, space=space)[X])))
    return np.concatenate(found)


def names_of(index: Index, rows: Sequence[int]) -> list[str]:
    """Names of the index's images in ``rows``."""
    return index.files.take(pa.array(rows)).to_pylist()
